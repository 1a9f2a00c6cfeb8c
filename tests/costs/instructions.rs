//! Instructions, as valgrind's callgrind counts them, where there is one. They are those of this
//! build, which is seldom optimized: what they are good for is that they do not rise unseen.

use std::{
    env,
    process::{Command, Stdio},
};

use axum::http::StatusCode;
use idem_axum::{Idempotency, MemoryStore};

use crate::requests::{app, request, send};

/// More than the bare handler's, of an unoptimized build with all features.
const FRESH: u64 = 215_000;
const REPLAY: u64 = 172_000;

/// Tells the process under valgrind what to do: so many requests to a path, each with a new key
/// (`new`) or all with one (`one`).
const WORK: &str = "IDEM_COSTS_INSTRUCTIONS";

/// Requests of the short run and of the long one: what both do besides is no difference.
const SHORT: u64 = 20;
const LONG: u64 = 120;

fn work(what: &str) {
    let mut words = what.split(' ');
    let (path, keys) = (words.next().unwrap(), words.next().unwrap());
    let count: u64 = words.next().unwrap().parse().unwrap();
    let app = app(Idempotency::builder(MemoryStore::new()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for number in 0..count {
        let key = format!("key-{}", if keys == "new" { number } else { 0 });
        let answer = runtime.block_on(send(&app, request(path, &key, 1250)));
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
}

fn counted(test: &str, what: &str) -> u64 {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .env(WORK, what)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    // `==4711== Collected : 123456`
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    collected.unwrap().1.trim().parse().unwrap()
}

fn a_request(test: &str, path: &str, keys: &str) -> u64 {
    let [short, long] = [SHORT, LONG].map(|count| counted(test, &format!("{path} {keys} {count}")));
    (long - short) / (LONG - SHORT)
}

#[test]
fn a_fresh_key_and_a_replay_take_few_instructions() {
    const TEST: &str = "instructions::a_fresh_key_and_a_replay_take_few_instructions";
    if let Ok(what) = env::var(WORK) {
        return work(&what);
    }
    let version = Command::new("valgrind").arg("--version").output();
    if !version.is_ok_and(|version| version.status.success()) {
        eprintln!("there is no valgrind: instructions are not counted");
        return;
    }
    let bare = a_request(TEST, "/bare", "new");
    let fresh = a_request(TEST, "/protected", "new");
    let replay = a_request(TEST, "/protected", "one");
    let (fresh, replay) = (fresh - bare, replay - bare);
    assert!(fresh <= FRESH, "a fresh key: {fresh} instructions");
    assert!(replay <= REPLAY, "a replay: {replay} instructions");
}
