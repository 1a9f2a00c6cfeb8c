//! Twenty-one thousand schedules of the simulation, three thousand of each fault profile.
//!
//! A failing one says its seed, the promise that is broken, and how to play it again.
//! `SEED=17 cargo nextest run -p idem-proof --test schedules` plays one seed in every profile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::env;

use idem_proof::sim::{Coverage, Options, Profile, SITUATIONS, run};

/// How many schedules of each profile there are.
const SCHEDULES: u64 = 3000;

/// A quarter of the schedules of all profiles is enough to see that the situations are
/// still met; each has to be met by a quarter of what is asked of all.
const SAMPLE: u64 = 4;

fn seeds(schedules: u64) -> Vec<u64> {
    match env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..schedules).collect(),
    }
}

fn every_schedule_keeps_the_promises(profile: Profile) {
    for seed in seeds(SCHEDULES) {
        let options = Options {
            profile: Some(profile),
            defect: None,
        };
        run(seed, options).assert_clean();
    }
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

/// What is never met is never tested.
#[test]
fn every_situation_is_met() {
    let mut coverage = Coverage::default();
    for profile in Profile::ALL {
        for seed in 0..SCHEDULES / SAMPLE {
            let options = Options {
                profile: Some(profile),
                defect: None,
            };
            coverage.add(&run(seed, options));
        }
    }
    let rare: Vec<_> = SITUATIONS
        .iter()
        .map(|(situation, least)| (situation, least / SAMPLE, coverage.count(situation)))
        .filter(|(_, least, count)| count < least)
        .collect();
    assert!(rare.is_empty(), "met too rarely: {rare:#?}\n{coverage}");
    println!("{coverage}");
}
