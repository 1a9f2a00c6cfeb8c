//! The store is slow, away, full, or loses what it says.
#![cfg(feature = "testing")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{
    AMBIGUOUS, GRACE, LAPSE, LEASE, Node, PATIENCE, TTL, in_progress, ran, replayed, until,
};
use idem_core::{
    Drained, Execution, MemoryStore, OnStoreError, Overrides, StoreError, Stored,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

/// The runtime's default deadline for a claim.
const DEADLINE: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn without_a_claim_nothing_runs_and_the_answer_comes_in_time() {
    for fault in [
        Fault::FailBefore,
        Fault::LoseCommand,
        Fault::HangBefore,
        Fault::DelayBefore(Duration::from_secs(60)),
        Fault::Refuse,
        Fault::Corrupt,
    ] {
        let node = Node::new();
        node.store.plan().always(Verb::Claim, fault);
        let started = Instant::now();
        let refused = node.pay("k").await;
        assert!(
            matches!(refused, Execution::StoreFailed(_)),
            "{fault:?}: {refused:?}"
        );
        assert!(started.elapsed() <= DEADLINE + 10 * MS, "{fault:?}");
        assert_eq!(node.effects(), 0, "{fault:?}");
        node.store.plan().clear();
        assert_eq!(node.effects(), 0, "{fault:?}");
        ran(&node.pay_until_answered("k").await);
        assert_eq!(node.effects(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_would_come_again_is_not_asked_for_again() {
    for fault in [Fault::Refuse, Fault::Corrupt] {
        let node = Node::new();
        node.store.plan().always(Verb::Claim, fault);
        node.pay("k").await;
        assert_eq!(node.store.plan().calls(Verb::Claim), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_claim_is_asked_for_again_and_the_work_runs_once() {
    for fault in AMBIGUOUS.into_iter().chain([Fault::Late(900 * MS)]) {
        let node = Node::new();
        node.store.plan().next(Verb::Claim, fault);
        let first = node.pay("k").await;
        assert_eq!(ran(&first), ("effect 1", 1, Stored::Recorded), "{fault:?}");
        sleep(DEADLINE).await;
        assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
        assert_eq!(node.effects(), 1, "{fault:?}");
    }
}

/// It was silent for so long that its slot was deleted, and its key used for another payload.
#[tokio::test(start_paused = true)]
async fn a_fenced_owner_is_not_given_the_record_of_another_payload() {
    let node = Node::new();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let gone = LEASE + TTL + GRACE + LAPSE;
    let slow = tokio::spawn(node.pay_slowly("k", gone + LAPSE));
    sleep(gone).await;
    let peer = node.peer();
    let other = peer.pay_after(peer.call("ana", "k", "7"), async {}).await;
    assert_eq!(ran(&other), ("effect 2", 1, Stored::Recorded));
    assert_eq!(ran(&slow.await.unwrap()), ("effect 1", 1, Stored::Lost));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_applied_and_never_answered_does_not_block_its_slot_for_a_lease() {
    let node = Node::new();
    node.store.plan().always(Verb::Claim, Fault::HangAfter);
    assert!(matches!(node.pay("k").await, Execution::StoreFailed(_)));
    let peer = node.peer();
    in_progress(&peer.pay("k").await);
    node.store.plan().clear();
    let recovered = Instant::now();
    let retry = peer.pay_until_answered("k").await;
    assert!(recovered.elapsed() < LEASE / 2, "{:?}", recovered.elapsed());
    // The claim of which nobody knew counts as an attempt.
    assert_eq!(ran(&retry), ("effect 1", 2, Stored::Recorded));
}

/// A node that waits for a reply for longer than its lease is long, as one does that
/// stands still between the reply and reading it.
fn still() -> Node {
    Node::built(ChaosStore::new(Arc::default()), |builder| {
        builder.store_deadline(PATIENCE).store_try_timeout(PATIENCE)
    })
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_answered_after_its_lease_does_not_run_beside_who_took_over() {
    let node = still();
    let peer = node.peer();
    let late = Fault::DelayAfter(2 * LAPSE);
    node.store.plan().next(Verb::Claim, late);
    let stale = tokio::spawn({
        let node = node.clone();
        async move { node.pay("k").await }
    });
    until(|| node.store.plan().calls(Verb::Claim) == 1).await;
    sleep(LAPSE).await;
    assert_eq!(ran(&peer.pay("k").await), ("effect 1", 2, Stored::Recorded));
    assert_eq!(replayed(&stale.await.unwrap()).record, "effect 1");
    assert_eq!(node.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_answered_after_its_lease_and_that_nobody_took_runs() {
    let node = still();
    let late = Fault::DelayAfter(LAPSE);
    node.store.plan().next(Verb::Claim, late);
    let slow = node.pay_slowly("k", 2 * LEASE);
    let slow = tokio::spawn(slow);
    until(|| node.effects() == 1).await;
    // Its lease is a new one.
    in_progress(&node.peer().pay("k").await);
    let outcome = slow.await.unwrap();
    assert_eq!(ran(&outcome), ("effect 1", 1, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_always_later_than_the_lease_is_out_of_reach() {
    let node = still();
    node.store
        .plan()
        .always(Verb::Claim, Fault::DelayAfter(LAPSE));
    let refused = node.pay("k").await;
    let refused = matches!(refused, Execution::StoreFailed(StoreError::TimedOut(LEASE)));
    assert!(refused);
    assert_eq!(node.effects(), 0);
    // And the slot is given back.
    node.store.plan().clear();
    ran(&node.peer().pay_until_answered("k").await);
    assert_eq!(node.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_follows_up_unanswered_claims_is_bounded_and_ends() {
    let node = Node::new();
    node.store.plan().always(Verb::Claim, Fault::HangAfter);
    let calls: Vec<_> = (0..1_000)
        .map(|key| {
            let node = node.clone();
            tokio::spawn(async move { node.pay(&format!("k{key}")).await })
        })
        .collect();
    for call in calls {
        assert!(matches!(call.await.unwrap(), Execution::StoreFailed(_)));
    }
    let Drained::Left(left) = node.runtime.drain(MS).await else {
        panic!("unanswered claims are followed up");
    };
    assert!(left <= 256, "{left} tasks");
    // After a lease there is nothing left to give back.
    assert_eq!(node.runtime.drain(2 * LAPSE).await, Drained::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_open_runs_without_protection() {
    let node = Node::new().with(Overrides {
        store_error: Some(OnStoreError::FailOpen),
        ..Overrides::NONE
    });
    node.store.plan().always(Verb::Claim, Fault::FailBefore);
    for effect in 1..=2 {
        let Execution::Unprotected { answer } = node.pay("k").await else {
            panic!("it fails open");
        };
        assert_eq!(answer, format!("effect {effect}"));
    }
    node.store.plan().clear();
    assert_eq!(ran(&node.pay("k").await).0, "effect 3");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_open_does_not_run_over_a_record_that_cannot_be_read() {
    let node = Node::new().with(Overrides {
        store_error: Some(OnStoreError::FailOpen),
        ..Overrides::NONE
    });
    node.pay("k").await;
    node.store.plan().next(Verb::Claim, Fault::Corrupt);
    let refused = node.pay("k").await;
    assert!(
        matches!(refused, Execution::StoreFailed(StoreError::Corrupt { .. })),
        "{refused:?}"
    );
    assert_eq!(node.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_completion_is_asked_for_again() {
    for fault in AMBIGUOUS {
        let node = Node::new();
        node.store.plan().next(Verb::Complete, fault);
        let first = node.pay("k").await;
        assert_eq!(ran(&first), ("effect 1", 1, Stored::Recorded), "{fault:?}");
        assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_stored_is_given_and_stored_later() {
    for fault in [Fault::FailBefore, Fault::HangBefore] {
        let node = Node::new();
        node.store.plan().always(Verb::Complete, fault);
        let started = Instant::now();
        let first = node.pay("k").await;
        assert_eq!(ran(&first), ("effect 1", 1, Stored::Pending), "{fault:?}");
        assert!(started.elapsed() <= DEADLINE + 10 * MS, "{fault:?}");

        // Its lease is renewed meanwhile: nobody takes over from finished work.
        let peer = node.peer();
        for _ in 0..5 {
            sleep(LEASE).await;
            in_progress(&peer.pay("k").await);
        }
        node.store.plan().clear();
        let retry = peer.pay_until_answered("k").await;
        assert_eq!(replayed(&retry).record, "effect 1");
        assert_eq!(node.effects(), 1, "{fault:?}");
        assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
    }
}

#[tokio::test(start_paused = true)]
async fn storing_an_answer_in_the_background_ends_with_its_ttl() {
    let node = Node::new();
    node.store.plan().always(Verb::Complete, Fault::FailBefore);
    assert_eq!(ran(&node.pay("k").await).2, Stored::Pending);
    sleep(TTL / 2).await;
    assert_eq!(node.runtime.drain(MS).await, Drained::Left(1));
    assert_eq!(node.runtime.drain(TTL).await, Drained::Clean);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_background_gives_way_to_whoever_took_over() {
    let node = Node::new();
    node.store.plan().always(Verb::Complete, Fault::FailBefore);
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    assert_eq!(ran(&node.pay("k").await).2, Stored::Pending);
    sleep(LAPSE).await;
    let peer = node.peer();
    assert_eq!(ran(&peer.pay("k").await), ("effect 2", 2, Stored::Recorded));
    node.store.plan().clear();
    assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
    assert_eq!(replayed(&node.pay("k").await).record, "effect 2");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_made_up_for() {
    let node = Node::new();
    node.store.plan().always(Verb::Release, Fault::FailBefore);
    assert_eq!(ran(&node.fail("k").await), ("failed", 1, Stored::Released));
    let peer = node.peer();
    in_progress(&peer.pay("k").await);
    node.store.plan().clear();
    let retry = peer.pay_until_answered("k").await;
    assert_eq!(ran(&retry), ("effect 2", 2, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_the_new_and_serves_the_known() {
    let store = Arc::new(MemoryStore::with_limits(1, usize::MAX));
    let node = Node::over(ChaosStore::new(store));
    node.pay("known").await;
    let refused = node.pay("new").await;
    let Execution::StoreFailed(error) = refused else {
        panic!("there is no room: {refused:?}");
    };
    assert!(matches!(error, StoreError::Full { limit: 1, .. }));
    assert!(error.to_string().contains("raise the limit"), "{error}");
    assert_eq!(node.effects(), 1);
    assert_eq!(replayed(&node.pay("known").await).record, "effect 1");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_not_healthy() {
    let node = Node::new();
    assert!(node.runtime.health().await.is_ok());
    node.store.plan().next(Verb::Health, Fault::FailBefore);
    assert!(node.runtime.health().await.is_err());
    node.store.plan().next(Verb::Health, Fault::HangBefore);
    let started = Instant::now();
    assert!(matches!(
        node.runtime.health().await,
        Err(StoreError::TimedOut(_))
    ));
    assert!(started.elapsed() <= DEADLINE + 10 * MS);
}
