//! The protocol as it is: in every state that it can reach, every property holds.
//!
//! The numbers of states are exact: who changes the model on purpose changes them, and
//! who changes it without meaning to is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::collections::{BTreeSet, HashMap};

use common::{SAME, protocol};
use idem_model::{Bounds, Fault, Fingerprint, OUTCOMES, Property, Protocol, State};
use stateright::{Checker, HasDiscoveries, Model};

/// Two retries of one request, and another payload under its key.
const ONE_OTHER: [Fingerprint; 3] = [Fingerprint::Same, Fingerprint::Same, Fingerprint::Other];

const IN_PROGRESS: &str = "a duplicate is in progress";
const REPLAYED: &str = "a duplicate is replayed";
const REPLAYED_LATE: &str = "a record is replayed past its ttl";
const TAKEN_OVER: &str = "a lapsed claim is taken over";
const RUN_AGAIN: &str = "a slot that was given back runs again";
const FENCED: &str = "an owner is fenced";

fn holds(protocol: Protocol, states: usize, outcomes: &[&str]) {
    let checker = protocol
        .checker()
        .finish_when(HasDiscoveries::AllFailures)
        .spawn_bfs()
        .join();
    for property in Property::ALL {
        if let Some(path) = checker.discovery(property.name()) {
            panic!("{} does not hold:\n{path}", property.name());
        }
    }
    let found: BTreeSet<_> = checker.discoveries().into_keys().collect();
    assert_eq!(found, outcomes.iter().copied().collect());
    println!(
        "{} states by {} steps, at most {} one after the other",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth() - 1
    );
    assert_eq!(checker.unique_state_count(), states);
}

const fn each_once() -> Bounds {
    Bounds::none()
        .with(Fault::Network, 1)
        .with(Fault::Lapse, 1)
        .with(Fault::Crash, 1)
        .with(Fault::Release, 1)
        .with(Fault::Deletion, 1)
}

#[test]
fn three_of_the_same_while_everything_goes_wrong_once() {
    let outcomes = [
        IN_PROGRESS,
        REPLAYED,
        REPLAYED_LATE,
        TAKEN_OVER,
        RUN_AGAIN,
        FENCED,
    ];
    holds(protocol(SAME, each_once()), 616_487, &outcomes);
}

#[test]
fn another_payload_while_everything_goes_wrong_once() {
    let bounds = each_once().with(Fault::Wait, 1);
    let outcomes = OUTCOMES.map(|(name, _)| name);
    holds(protocol(ONE_OTHER, bounds), 516_489, &outcomes);
}

#[test]
fn deadlines_and_waiting() {
    let bounds = Bounds::none()
        .with(Fault::Network, 1)
        .with(Fault::Lapse, 1)
        .with(Fault::Deadline, 1)
        .with(Fault::Wait, 1);
    let outcomes = [IN_PROGRESS, REPLAYED, TAKEN_OVER, RUN_AGAIN, FENCED];
    holds(protocol(SAME, bounds), 141_563, &outcomes);
}

#[test]
fn one_takeover_after_the_other() {
    let bounds = Bounds::none().with(Fault::Network, 2).with(Fault::Lapse, 2);
    let outcomes = [IN_PROGRESS, REPLAYED, TAKEN_OVER, FENCED];
    holds(protocol(SAME, bounds), 299_471, &outcomes);
}

fn replicated(bounds: Bounds) -> Protocol {
    Protocol {
        has_replica: true,
        ..protocol(SAME, bounds.with(Fault::Failover, 1))
    }
}

#[test]
fn a_failover_and_a_bad_network() {
    let bounds = Bounds::none().with(Fault::Network, 2).with(Fault::Lapse, 1);
    let outcomes = [IN_PROGRESS, REPLAYED, TAKEN_OVER, RUN_AGAIN, FENCED];
    holds(replicated(bounds), 628_360, &outcomes);
}

#[test]
fn a_failover_and_a_node_that_dies() {
    let bounds = Bounds::none()
        .with(Fault::Network, 1)
        .with(Fault::Lapse, 1)
        .with(Fault::Crash, 1);
    let outcomes = [IN_PROGRESS, REPLAYED, TAKEN_OVER, RUN_AGAIN, FENCED];
    holds(replicated(bounds), 338_262, &outcomes);
}

/// What *in the end* relies on: a run that cannot go in a circle has an end.
#[test]
fn no_step_leads_back() {
    let bounds = Bounds::none()
        .with(Fault::Network, 1)
        .with(Fault::Lapse, 1)
        .with(Fault::Wait, 1);
    for has_replica in [false, true] {
        let protocol = Protocol {
            has_replica,
            ..protocol(SAME, bounds)
        };
        // Depth first; `true` while it is on the way to where we are.
        let mut known: HashMap<State, bool> = HashMap::new();
        let mut way = protocol
            .init_states()
            .into_iter()
            .map(Visit::Enter)
            .collect::<Vec<_>>();
        while let Some(visit) = way.pop() {
            match visit {
                Visit::Leave(state) => {
                    known.insert(state, false);
                }
                Visit::Enter(state) => match known.get(&state) {
                    Some(false) => {}
                    Some(true) => panic!("a circle: {state:?}"),
                    None => {
                        known.insert(state.clone(), true);
                        let next = protocol.next_states(&state);
                        way.push(Visit::Leave(state));
                        way.extend(next.into_iter().map(Visit::Enter));
                    }
                },
            }
        }
        assert!(known.len() > 10_000);
    }
}

enum Visit {
    Enter(State),
    Leave(State),
}
