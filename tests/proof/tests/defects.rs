//! The checker sees: a store that is wrong in one way is found within few schedules, by the
//! name of the promise that it breaks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use idem_proof::{
    checker::Invariant,
    sim::{Defect, Options, Profile, run},
};

/// Within so many schedules.
const FEW: u64 = 300;

#[track_caller]
fn is_found(defect: Defect, profile: Profile, invariant: Invariant) {
    let options = Options {
        profile: Some(profile),
        defect: Some(defect),
    };
    let mut others = Vec::new();
    for seed in 0..FEW {
        let verdict = run(seed, options).verdict;
        let mut found = verdict.violations.iter();
        if let Some(violation) = found.find(|it| it.invariant == invariant) {
            println!("{defect:?} found by seed {seed}: {violation}");
            return;
        }
        others.extend(verdict.violations);
    }
    panic!("{defect:?} breaks {invariant} in none of {FEW} schedules; others: {others:#?}");
}

#[test]
fn a_completion_from_anybody() {
    is_found(Defect::NoFenceOnComplete, Profile::Stops, Invariant::I2);
}

#[test]
fn an_expiry_that_deletes_what_is_in_flight() {
    is_found(Defect::ExpiryDeletesInFlight, Profile::Calm, Invariant::I1);
}

#[test]
fn a_claim_that_reads_and_then_writes() {
    is_found(Defect::ClaimGetThenSet, Profile::Calm, Invariant::I1);
}

#[test]
fn a_repeated_claim_that_is_taken_for_anothers() {
    is_found(Defect::ClaimIgnoresOwner, Profile::Lossy, Invariant::I8);
}

#[test]
fn a_release_from_anybody() {
    is_found(Defect::ReleaseWithoutFence, Profile::Stops, Invariant::I2);
}

#[test]
fn a_payload_that_is_not_compared() {
    is_found(Defect::MismatchIgnored, Profile::Calm, Invariant::I5);
}

#[test]
fn a_record_that_is_replaced() {
    is_found(Defect::CompletedOverwritten, Profile::Stops, Invariant::I3);
}

#[test]
fn a_slot_without_its_scope() {
    is_found(Defect::ScopeBlind, Profile::Calm, Invariant::I6);
}
