//! Nothing is left behind, however a test ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::env;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use idem_servers::{Redis, Replicated, until};

/// Set for the process that holds a server and is killed.
const HOLD: &str = "IDEM_SERVERS_HOLD";

/// Whether a process is there, and not just the remains of one.
fn lives(pid: u32) -> bool {
    let ps = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(ps.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

fn assert_gone(pid: u32, dir: &Path) {
    assert!(!lives(pid), "process {pid}");
    assert!(!dir.exists(), "{}", dir.display());
}

#[tokio::test]
async fn a_dropped_server_is_gone_at_once() {
    let redis = Redis::start().await;
    let (pid, dir) = (redis.pid(), redis.dir().to_owned());
    assert!(lives(pid) && dir.exists());
    drop(redis);
    assert_gone(pid, &dir);
}

#[tokio::test]
async fn also_one_that_was_stopped_killed_or_restarted() {
    let redis = Redis::start().await;
    let (first, dir) = (redis.pid(), redis.dir().to_owned());
    redis.kill();
    assert!(!redis.is_running() && !lives(first) && dir.exists());
    redis.restart().await;
    let second = redis.pid();
    assert!(first != second && lives(second));
    redis.restart().await;
    let third = redis.pid();
    assert!(!lives(second) && lives(third));
    redis.stop();
    drop(redis);
    assert_gone(third, &dir);
}

#[tokio::test]
async fn also_one_that_was_killed_and_never_restarted() {
    let redis = Redis::start().await;
    let (pid, dir) = (redis.pid(), redis.dir().to_owned());
    redis.kill();
    drop(redis);
    assert_gone(pid, &dir);
}

#[tokio::test]
async fn a_panic_drops_it_too() {
    let servers = Replicated::start(1, true).await;
    let pids = [servers.master.pid(), servers.replicas[0].pid()];
    let dirs = [servers.master.dir(), servers.replicas[0].dir()].map(Path::to_owned);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _servers = servers;
        panic!("a test fails");
    }));
    assert!(panicked.is_err());
    for (pid, dir) in pids.into_iter().zip(&dirs) {
        assert_gone(pid, dir);
    }
}

/// Not a test of its own: what the next one kills.
#[tokio::test]
async fn holds_a_server() {
    if env::var_os(HOLD).is_none() {
        return;
    }
    let redis = Redis::start().await;
    println!("\nheld {} {}", redis.pid(), redis.dir().display());
    loop {
        thread::park();
    }
}

#[tokio::test]
async fn a_killed_test_leaves_nothing() {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "holds_a_server", "--nocapture"])
        .env(HOLD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find(|line| line.starts_with("held "))
        .expect("the server of the child");
    let words: Vec<_> = line.split(' ').collect();
    let (pid, dir) = (words[1].parse().unwrap(), PathBuf::from(words[2]));
    assert!(lives(pid) && dir.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    until("the server is gone", async || !lives(pid)).await;
    until("its directory is gone", async || !dir.exists()).await;
}
