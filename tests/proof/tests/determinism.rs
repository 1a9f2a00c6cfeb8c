//! One seed is one history, to the last event.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{env, process::Command};

use idem_proof::sim::{Options, Profile, run};

const PLAY: &str = "PLAY_AND_PRINT";

/// What the seeds of all profiles come to, as text.
fn histories() -> String {
    let mut text = String::new();
    for profile in Profile::ALL {
        for seed in 0..25 {
            let options = Options {
                profile: Some(profile),
                defect: None,
            };
            let played = run(seed, options);
            text.push_str(&format!("{profile:?} {seed}\n{}", played.history));
        }
    }
    text
}

/// In this process, in another thread of it, and in a fresh one.
#[test]
fn the_same_seed_is_the_same_history_in_every_process() {
    if env::var_os(PLAY).is_some() {
        println!("<<<{}>>>", histories());
        return;
    }
    let here = histories();
    let there = std::thread::spawn(histories).join().unwrap();
    assert_same(&here, &there);
    let test = "the_same_seed_is_the_same_history_in_every_process";
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(PLAY, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let begin = output.find("<<<").unwrap() + 3;
    let end = output.rfind(">>>").unwrap();
    assert_same(&here, &output[begin..end]);
}

fn assert_same(one: &str, other: &str) {
    if one == other {
        return;
    }
    let mut lines = one.lines().zip(other.lines());
    let first = lines.find(|(one, other)| one != other);
    panic!("the histories differ, first here: {first:#?}");
}

/// Or the test above would compare nothing.
#[test]
fn another_seed_is_another_history() {
    let options = Options {
        profile: Some(Profile::Everything),
        defect: None,
    };
    assert_ne!(run(1, options).history, run(2, options).history);
}
