//! Twenty-one thousand schedules of the simulation, three thousand of each fault profile.
//!
//! A failing one says its seed, the promise that is broken, and how to play it again.
//! `SEED=17 cargo nextest run -p idem-proof --test schedules processes_die` plays one again, and
//! prints its history.
//!
//! Each profile also has its situations that must be met, so that the schedules cannot rot unseen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::env;

use idem_proof::sim::{Coverage, Options, Profile, run};

/// How many schedules of each profile there are.
const SCHEDULES: u64 = 3000;

fn every_schedule_keeps_the_promises(profile: Profile) {
    let options = Options {
        profile: Some(profile),
        defect: None,
    };
    if let Ok(seed) = env::var("SEED") {
        let played = run(seed.parse().unwrap(), options);
        println!("{}", played.history);
        return played.assert_clean();
    }
    let mut coverage = Coverage::default();
    for seed in 0..SCHEDULES {
        let played = run(seed, options);
        played.assert_clean();
        coverage.add(&played);
    }
    println!("{coverage}");
    // What is never met is never tested.
    let rare = coverage.too_rare(profile);
    assert!(rare.is_empty(), "met too rarely: {rare:#?}");
}

#[test]
fn nothing_fails_but_patience() {
    every_schedule_keeps_the_promises(Profile::Calm);
}

#[test]
fn commands_and_replies_are_lost_late_and_doubled() {
    every_schedule_keeps_the_promises(Profile::Lossy);
}

#[test]
fn processes_die() {
    every_schedule_keeps_the_promises(Profile::Crashes);
}

#[test]
fn processes_stand_still_and_go_on() {
    every_schedule_keeps_the_promises(Profile::Stops);
}

#[test]
fn the_store_is_away_or_slow() {
    every_schedule_keeps_the_promises(Profile::Outages);
}

#[test]
fn the_store_loses_acknowledged_writes() {
    every_schedule_keeps_the_promises(Profile::Failover);
}

#[test]
fn everything_fails() {
    every_schedule_keeps_the_promises(Profile::Everything);
}
