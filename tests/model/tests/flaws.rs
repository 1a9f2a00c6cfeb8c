//! Protocols with one mistake each: the model shows what comes of every one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{SAME, protocol};
use idem_model::{Bounds, Fault, Flaw, Property, Protocol, Step};
use stateright::{Checker, HasDiscoveries, Model};

/// The steps of a run that breaks `property` within this many steps.
fn run(protocol: Protocol, property: Property, steps: usize) -> Option<Vec<Step>> {
    let checker = protocol
        .checker()
        .finish_when(HasDiscoveries::AllOf([property.name()].into()))
        // It counts states, and does not look at the last.
        .target_max_depth(steps + 2)
        .spawn_bfs()
        .join();
    let path = checker.discovery(property.name())?;
    Some(path.into_actions())
}

fn breaks(protocol: Protocol, property: Property, steps: usize) {
    let flaw = protocol.flaw.unwrap();
    let name = property.name();
    let Some(run_to_it) = run(protocol, property, steps) else {
        panic!("{flaw:?} keeps {name}");
    };
    println!("{flaw:?} breaks {name}:");
    for step in &run_to_it {
        println!("    {step:?}");
    }
    assert_eq!(run_to_it.len(), steps, "{flaw:?}, {name}");
    // No shorter run does, and it is the mistake that does it, not what goes wrong meanwhile.
    assert_eq!(run(protocol, property, steps - 1), None, "{flaw:?}, {name}");
    let right = Protocol {
        flaw: None,
        ..protocol
    };
    assert_eq!(run(right, property, steps), None, "{name}");
}

fn with(flaw: Flaw, bounds: Bounds) -> Protocol {
    Protocol {
        flaw: Some(flaw),
        ..protocol(SAME, bounds)
    }
}

fn replicated(flaw: Flaw, bounds: Bounds) -> Protocol {
    Protocol {
        has_replica: true,
        ..with(flaw, bounds)
    }
}

const NONE: Bounds = Bounds::none();

#[test]
fn a_claim_in_two_commands_is_won_twice() {
    let flawed = with(Flaw::GetThenSet, NONE);
    breaks(flawed, Property::OneOwner, 10);
    breaks(flawed, Property::OneEffect, 10);
    breaks(flawed, Property::OneAnswer, 11);
}

#[test]
fn without_owner_tokens_a_claim_sent_again_is_lost() {
    let flawed = with(Flaw::NoOwnerToken, NONE.with(Fault::Network, 1));
    breaks(flawed, Property::RepetitionsAsTheFirst, 4);
}

#[test]
fn a_payload_is_no_owner_token() {
    let flawed = with(Flaw::FingerprintAsOwner, NONE);
    breaks(flawed, Property::OneOwner, 6);
    breaks(flawed, Property::OneEffect, 6);
}

#[test]
fn a_library_must_not_send_again_what_is_not_idempotent() {
    let flawed = with(Flaw::SilentResend, NONE.with(Fault::Network, 1));
    breaks(flawed, Property::RepetitionsAsTheFirst, 4);
}

#[test]
fn a_late_copy_of_a_claim_must_not_win() {
    let bounds = NONE.with(Fault::Network, 1).with(Fault::Release, 1);
    let flawed = with(Flaw::LateCopyWins, bounds);
    breaks(flawed, Property::RepetitionsAsTheFirst, 7);
}

#[test]
fn without_a_fence_a_stopped_process_writes_over_its_successor() {
    let flawed = with(Flaw::NoFence, NONE.with(Fault::Lapse, 1));
    breaks(flawed, Property::StaleWritesChangeNothing, 8);
    breaks(flawed, Property::NoExecutionAfterTheRecord, 9);
}

#[test]
fn a_release_without_a_fence_gives_away_what_is_anothers() {
    let bounds = NONE.with(Fault::Lapse, 1).with(Fault::Release, 1);
    let flawed = with(Flaw::ReleaseWithoutFence, bounds);
    breaks(flawed, Property::StaleWritesChangeNothing, 8);
    breaks(flawed, Property::OneOwner, 12);
}

#[test]
fn what_is_in_flight_must_not_expire() {
    let flawed = with(Flaw::ExpiryInFlight, NONE.with(Fault::Deletion, 1));
    breaks(flawed, Property::OneOwner, 7);
    breaks(flawed, Property::OneEffect, 7);
}

#[test]
fn an_answer_that_comes_after_the_lease_is_none() {
    let flawed = with(Flaw::BeginsUnsure, NONE.with(Fault::Lapse, 1));
    breaks(flawed, Property::NoExecutionAfterTheRecord, 9);
}

#[test]
fn a_claim_that_no_replica_has_is_lost_by_a_failover() {
    let flawed = replicated(Flaw::WaitIgnored, NONE.with(Fault::Failover, 1));
    breaks(flawed, Property::OneOwner, 7);
    breaks(flawed, Property::OneEffect, 7);
    breaks(flawed, Property::OneAnswer, 13);
}

#[test]
fn a_withdrawal_that_comes_late_ends_a_claim_that_was_sent_again() {
    let flawed = replicated(Flaw::ClaimsAfterWithdrawing, NONE.with(Fault::Network, 2));
    breaks(flawed, Property::OneOwner, 11);
    breaks(flawed, Property::OneEffect, 11);
}

#[test]
fn a_record_that_no_replica_has_must_not_be_replayed() {
    let bounds = NONE.with(Fault::Lapse, 1).with(Fault::Failover, 1);
    let flawed = replicated(Flaw::ReplaysUnreplicated, bounds);
    breaks(flawed, Property::NoExecutionAfterTheRecord, 15);
    breaks(flawed, Property::OneAnswer, 19);
}
