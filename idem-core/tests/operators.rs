//! Operators look at slots and decide about those whose owner is gone, whatever the store
//! does meanwhile.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{AMBIGUOUS, LAPSE, LEASE, Node, TTL, log::Log, ran, replayed};
use idem_core::{
    Execution, Fence, ListQuery, OnCrash, Overrides, Resolution, Resolved, Retention, Slot,
    SlotState, StateKind, Stored,
    testing::{Fault, Verb},
};
use tokio::time::sleep;

/// A slot whose owner fell silent, and a node that operators use.
async fn silent() -> (Node, Node, Slot) {
    let owner = Node::new().with(Overrides {
        on_crash: Some(OnCrash::Refuse),
        ..Overrides::NONE
    });
    owner.store.plan().always(Verb::Renew, Fault::FailBefore);
    let work = owner.pay_slowly("k", 10 * LAPSE);
    tokio::spawn(work);
    sleep(LAPSE).await;
    let slot = owner.call("ana", "k", "5").slot;
    let operators = owner.peer();
    (owner, operators, slot)
}

fn completion() -> Resolution {
    Resolution::Complete {
        record: Bytes::from_static(b"by hand"),
        retention: Retention {
            ttl: TTL,
            grace: TTL,
        },
    }
}

async fn unknown(node: &Node) -> Vec<Slot> {
    let query = ListQuery {
        state: Some(StateKind::Unknown),
        after: None,
        limit: 10,
    };
    let page = node.runtime.list(query).await.unwrap();
    page.slots.iter().map(|view| view.slot).collect()
}

#[tokio::test(start_paused = true)]
async fn a_slot_whose_owner_is_gone_is_seen_and_ended() {
    let (owner, operators, slot) = silent().await;
    assert_eq!(unknown(&operators).await, [slot]);
    let view = operators.runtime.inspect(slot).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempt), (SlotState::Unknown, 1));

    let runtime = &operators.runtime;
    let late = runtime.resolve(slot, view.fence.next(), "ana", completion());
    assert_eq!(late.await.unwrap(), Resolved::Moved);
    let done = runtime.resolve(slot, view.fence, "ana", completion()).await;
    assert_eq!(done.unwrap(), Resolved::Done);
    assert_eq!(unknown(&operators).await, []);
    assert_eq!(replayed(&operators.pay("k").await).record, "by hand");
    // Decided is decided.
    let again = runtime.resolve(slot, view.fence, "bob", completion()).await;
    assert_eq!(again.unwrap(), Resolved::Moved);
    // And the owner that wakes up is fenced.
    sleep(10 * LAPSE).await;
    assert_eq!(replayed(&owner.pay("k").await).record, "by hand");
}

#[tokio::test(start_paused = true)]
async fn what_has_not_happened_runs_again() {
    let (_, operators, slot) = silent().await;
    let runtime = &operators.runtime;
    let release = Resolution::Release { ttl: TTL };
    let done = runtime.resolve(slot, Fence::FIRST, "ana", release).await;
    assert_eq!(done.unwrap(), Resolved::Done);
    let retry = operators.pay("k").await;
    assert_eq!((ran(&retry).1, ran(&retry).2), (2, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn who_is_at_work_is_left_alone() {
    let node = Node::new();
    let work = tokio::spawn(node.pay_slowly("k", LEASE));
    sleep(Duration::from_millis(1)).await;
    let slot = node.call("ana", "k", "5").slot;
    let resolved = node
        .runtime
        .resolve(slot, Fence::FIRST, "ana", completion());
    assert!(matches!(
        resolved.await.unwrap(),
        Resolved::StillOwned { lease_left } if lease_left > Duration::ZERO
    ));
    assert!(matches!(work.await.unwrap(), Execution::Ran { .. }));
}

#[tokio::test(start_paused = true)]
async fn i8_a_decision_whose_reply_is_lost_is_one_decision() {
    for fault in AMBIGUOUS {
        let (_, operators, slot) = silent().await;
        operators.store.plan().next(Verb::Resolve, fault);
        let runtime = &operators.runtime;
        let done = runtime
            .resolve(slot, Fence::FIRST, "ana", completion())
            .await;
        assert_eq!(done.unwrap(), Resolved::Done, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_was_perhaps_applied_is_no_failure_that_says_otherwise() {
    let (_, operators, slot) = silent().await;
    operators.store.plan().next(Verb::Resolve, Fault::FailAfter);
    operators
        .store
        .plan()
        .always(Verb::Resolve, Fault::FailBefore);
    let runtime = &operators.runtime;
    let error = runtime
        .resolve(slot, Fence::FIRST, "ana", completion())
        .await
        .unwrap_err();
    assert!(error.is_ambiguous(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn every_decision_is_in_the_audit() {
    let (_, operators, slot) = silent().await;
    let log = Log::default();
    let _logged = log.record(tracing::Level::INFO);
    let runtime = &operators.runtime;
    for (fence, outcome) in [(Fence::FIRST.next(), "moved"), (Fence::FIRST, "done")] {
        let _ = runtime
            .resolve(slot, fence, "ana@example.com", completion())
            .await;
        let text = log.take();
        for said in [
            "idem::audit",
            "ana@example.com",
            &slot.to_string(),
            "complete",
            outcome,
            &format!("fence={fence}"),
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
    // What is not to be sealed takes no look at the slot.
    assert_eq!(operators.store.plan().calls(Verb::Inspect), 0);
}
