//! What one scope may take: executions in flight, and bytes in the store.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    GRACE, LAPSE, Node, Outcome, TTL, counting::Counting, in_progress, ran, replayed, until,
};
use futures_util::{FutureExt, future::join_all};
use idem_core::{
    Drained, Execution, Finish, Limit, Limits, MemoryStore, OnStoreError, OnceError, Overrides,
    PolicyError, Runtime, RuntimeBuilder, SLOT_BYTES, Scope, Stored,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, advance, sleep},
};

const LONG: Duration = Duration::from_secs(30);

fn live(live_claims: u32) -> Node {
    limited(Limits {
        live_claims: Some(live_claims),
        ..Limits::NONE
    })
}

fn stored(stored_bytes: u64) -> Node {
    limited(Limits {
        stored_bytes: Some(stored_bytes),
        ..Limits::NONE
    })
}

fn limited(limits: Limits) -> Node {
    over(ChaosStore::new(Arc::default()), limits)
}

fn over(store: common::Chaos, limits: Limits) -> Node {
    Node::built(store, |builder| builder.limits(limits))
}

#[track_caller]
fn refused(outcome: &Outcome) -> (Limit, Duration) {
    match outcome {
        Execution::Limited { limit, retry_after } => (*limit, *retry_after),
        other => panic!("it should be refused because of a limit, and is {other:?}"),
    }
}

/// A payment in flight, which is known to hold its claim.
async fn in_flight(node: &Node, key: &str, time: Duration) -> tokio::task::JoinHandle<Outcome> {
    let before = node.effects();
    let running = tokio::spawn(node.pay_slowly(key, time));
    until(|| node.effects() > before).await;
    running
}

/// A payment of Ana's of 5 that leaves a record of `bytes`.
async fn pay_for(node: &Node, user: &str, key: &str, bytes: usize) -> Outcome {
    let record = Bytes::from(vec![b'r'; bytes]);
    let work = async {
        Finish::Record {
            record,
            answer: String::new(),
        }
    };
    node.runtime.execute(node.call(user, key, "5"), work).await
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_a_fresh_key_is_refused_and_every_retry_is_answered() {
    let node = live(2);
    ran(&node.pay("done").await);
    ran(&node.fail("failed").await);
    let _first = in_flight(&node, "1", LONG).await;
    let _second = in_flight(&node, "2", LONG).await;
    let claims = node.store.plan().calls(Verb::Claim);

    let fresh = node.pay("3").await;
    assert_eq!(refused(&fresh).0, Limit::LiveClaims);
    assert!(!refused(&fresh).1.is_zero());
    // It would run again.
    refused(&node.pay("failed").await);
    assert_eq!(replayed(&node.pay("done").await).record, "effect 1");
    in_progress(&node.pay("1").await);
    for key in ["done", "1"] {
        let other = node.call("ana", key, "6");
        let other = node.pay_after(other, async {}).await;
        assert!(matches!(other, Execution::KeyReused), "{other:?}");
    }
    // None of them has claimed anything, and nothing is left of them.
    assert_eq!(node.store.plan().calls(Verb::Claim), claims);
    let slot = node.call("ana", "3", "5").slot;
    assert_eq!(node.runtime.inspect(slot).await.unwrap(), None);

    let bob = node.pay_after(node.call("bob", "3", "5"), async {}).await;
    ran(&bob);
}

#[tokio::test(start_paused = true)]
async fn a_seat_is_free_again_however_its_execution_ends() {
    let node = live(1);
    for round in 0..3 {
        let key = |what: &str| format!("{what}-{round}");
        ran(&node.pay(&key("recorded")).await);
        ran(&node.fail(&key("released")).await);
        assert!(matches!(
            node.panic(&key("panicked")).await,
            Execution::Panicked
        ));
        in_flight(&node, &key("over"), LONG).await.await.unwrap();
    }
    ran(&node.pay("last").await);
}

#[tokio::test(start_paused = true)]
async fn an_execution_whose_client_has_gone_counts_until_it_ends() {
    let node = live(1);
    let running = in_flight(&node, "1", LONG).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    refused(&node.pay("2").await);
    assert_eq!(node.runtime.drain(2 * LONG).await, Drained::Clean);
    replayed(&node.pay("1").await);
    ran(&node.pay("2").await);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_was_taken_over_counts_until_it_ends() {
    let node = live(1);
    // A process that hears nothing of its lease, and another that takes over.
    let peer = over(
        ChaosStore::new(Arc::clone(node.store.inner())),
        Limits {
            live_claims: Some(1),
            ..Limits::NONE
        },
    );
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let running = in_flight(&node, "1", LONG).await;
    sleep(LAPSE).await;
    assert_eq!(ran(&peer.pay("1").await).1, 2);
    refused(&node.pay("2").await);
    replayed(&running.await.unwrap());
    ran(&node.pay("2").await);
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_slot_is_taken_over_by_whoever_may_start_something() {
    let node = live(1);
    let peer = node.peer();
    peer.store.plan().always(Verb::Renew, Fault::FailBefore);
    let _silent = in_flight(&peer, "1", LONG).await;
    let running = in_flight(&node, "2", LAPSE + LAPSE).await;
    sleep(LAPSE).await;
    refused(&node.pay("1").await);
    let refusing = Overrides {
        on_crash: Some(idem_core::OnCrash::Refuse),
        ..Overrides::NONE
    };
    let unknown = node.clone().with(refusing).pay("1").await;
    assert!(matches!(unknown, Execution::OutcomeUnknown), "{unknown:?}");
    ran(&running.await.unwrap());
    assert_eq!(ran(&node.pay("1").await).1, 2);
}

#[tokio::test(start_paused = true)]
async fn duplicates_that_wait_take_no_seat_and_are_answered_at_the_limit() {
    let waiting = Overrides {
        wait: Some(2 * LONG),
        ..Overrides::NONE
    };
    let node = live(2).with(waiting);
    let first = in_flight(&node, "1", LONG).await;
    let duplicates: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let node = node.clone();
                async move { node.pay("1").await }
            })
        })
        .collect();
    sleep(Duration::from_millis(10)).await;
    let second = in_flight(&node, "2", LONG).await;
    // These come at the limit, and wait all the same.
    let late = tokio::spawn({
        let node = node.clone();
        async move { node.pay("1").await }
    });
    refused(&node.pay("3").await);
    ran(&first.await.unwrap());
    for duplicate in duplicates {
        assert_eq!(replayed(&duplicate.await.unwrap()).record, "effect 1");
    }
    assert_eq!(replayed(&late.await.unwrap()).record, "effect 1");
    ran(&second.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn many_at_once_never_run_more_than_the_limit() {
    let node = live(3);
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let now = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let asked = (0..200).map(|number| {
        let (node, most, now) = (node.clone(), Arc::clone(&most), Arc::clone(&now));
        async move {
            sleep(Duration::from_millis(number % 40)).await;
            let call = node.call("ana", &number.to_string(), "5");
            let work = async move {
                let running = now.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                most.fetch_max(running, std::sync::atomic::Ordering::SeqCst);
                sleep(Duration::from_millis(7)).await;
                now.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                Finish::Record {
                    record: Bytes::new(),
                    answer: String::new(),
                }
            };
            matches!(
                node.runtime.execute(call, work).await,
                Execution::Ran { .. }
            )
        }
    });
    let ran = join_all(asked).await.into_iter().filter(|ran| *ran).count();
    assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), 3);
    assert!((10..150).contains(&ran), "{ran}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_without_protection_counts_too() {
    let open = Overrides {
        store_error: Some(OnStoreError::FailOpen),
        ..Overrides::NONE
    };
    let node = live(1).with(open);
    node.store.plan().always(Verb::Claim, Fault::Refuse);
    node.store.plan().always(Verb::Inspect, Fault::Refuse);
    let running = in_flight(&node, "1", LONG).await;
    refused(&node.pay("2").await);
    assert!(matches!(
        running.await.unwrap(),
        Execution::Unprotected { .. }
    ));
    assert!(matches!(node.pay("2").await, Execution::Unprotected { .. }));
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_a_store_that_does_not_answer_is_the_reason() {
    let node = live(1);
    let _running = in_flight(&node, "1", LONG).await;
    node.store.plan().always(Verb::Inspect, Fault::Refuse);
    let failed = node.pay("2").await;
    assert!(matches!(failed, Execution::StoreFailed(_)), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_has_stored_its_limit_starts_nothing_until_the_window_ends() {
    let node = stored(2 * (SLOT_BYTES + 1000));
    let peer = over(
        ChaosStore::new(Arc::clone(node.store.inner())),
        Limits {
            stored_bytes: Some(2 * (SLOT_BYTES + 1000)),
            ..Limits::NONE
        },
    );
    let start = Instant::now();
    ran(&pay_for(&node, "ana", "1", 1000).await);
    advance(Duration::from_secs(1)).await;
    ran(&pay_for(&node, "ana", "2", 1000).await);

    let (limit, retry_after) = refused(&pay_for(&node, "ana", "3", 1).await);
    assert_eq!(limit, Limit::StoredBytes);
    let window = TTL + GRACE;
    assert_eq!(retry_after, window - Duration::from_secs(1));
    for key in ["1", "2"] {
        replayed(&pay_for(&node, "ana", key, 1000).await);
    }
    ran(&pay_for(&node, "bob", "3", 1000).await);
    // Another process finds out with its first answer.
    ran(&pay_for(&peer, "ana", "4", 1).await);
    refused(&pay_for(&peer, "ana", "5", 1).await);

    advance(retry_after - Duration::from_millis(1)).await;
    refused(&pay_for(&node, "ana", "3", 1).await);
    advance(Duration::from_millis(1)).await;
    assert_eq!(start.elapsed(), window);
    ran(&pay_for(&node, "ana", "3", 1).await);
    ran(&pay_for(&peer, "ana", "5", 1).await);
}

#[tokio::test(start_paused = true)]
async fn released_slots_and_their_steps_are_counted() {
    let node = stored(10 * SLOT_BYTES);
    let fail = |steps: idem_core::Steps| async move {
        let step: Result<String, idem_core::StepError<&str>> =
            steps.run("charge", || async { Ok("x".repeat(500)) }).await;
        step.unwrap();
        Finish::Release {
            answer: String::new(),
        }
    };
    let mut times = 0;
    // The step's result is kept once, and counts with each release of its slot.
    for _ in 0..20 {
        let again = node.call("ana", "1", "5");
        let outcome = node.runtime.execute_in_steps(again, fail).await;
        times += usize::from(matches!(outcome, Execution::Ran { .. }));
    }
    assert!((4..=5).contains(&times), "{times}");

    for number in 0..10 {
        let free = node.call("bob", &number.to_string(), "5");
        let work = async {
            Finish::Release {
                answer: String::new(),
            }
        };
        ran(&node.runtime.execute(free, work).await);
    }
    refused(&pay_for(&node, "bob", "more", 1).await);
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_is_down_holds_nothing_up_and_loses_nothing() {
    let faults = [
        Fault::FailBefore,
        Fault::HangBefore,
        Fault::HangAfter,
        Fault::Refuse,
        Fault::LoseCommand,
    ];
    for fault in faults {
        let node = stored(1_000_000);
        node.store.plan().always(Verb::Spend, fault);
        let start = Instant::now();
        for key in 0..20 {
            let paid = pay_for(&node, "ana", &key.to_string(), 100_000).await;
            assert_eq!(ran(&paid).2, Stored::Recorded, "{fault:?}");
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "{fault:?}");
        assert_eq!(node.runtime.drain(LONG).await, Drained::Clean, "{fault:?}");
        node.store.plan().clear();
        for key in 0..20 {
            replayed(&pay_for(&node, "ana", &key.to_string(), 1).await);
        }
        // From now on it holds.
        ran(&pay_for(&node, "ana", "a", 1_000_000).await);
        refused(&pay_for(&node, "ana", "b", 1).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_scope_has_one_command_of_its_meter_on_its_way_and_loses_no_byte() {
    let node = stored(100 * (SLOT_BYTES + 100));
    node.store
        .plan()
        .always(Verb::Spend, Fault::DelayBefore(Duration::from_secs(1)));
    let paying = (0..100).map(|key| {
        let node = node.clone();
        async move { pay_for(&node, "ana", &key.to_string(), 100).await }
    });
    join_all(paying)
        .await
        .iter()
        .for_each(|paid| assert_eq!(ran(paid).1, 1));
    until(|| node.store.plan().calls(Verb::Spend) == 2).await;
    assert_eq!(node.runtime.drain(LONG).await, Drained::Clean);
    assert_eq!(node.store.plan().calls(Verb::Spend), 2);
    refused(&pay_for(&node, "ana", "more", 1).await);
}

#[tokio::test(start_paused = true)]
async fn without_limits_nothing_is_counted_and_nothing_asked() {
    let node = Node::new();
    assert_eq!(node.call("ana", "1", "5").scope, None);
    let mut running = Vec::new();
    for key in 0..50 {
        running.push(in_flight(&node, &key.to_string(), LONG).await);
    }
    ran(&pay_for(&node, "ana", "done", 1 << 20).await);
    let plan = node.store.plan();
    assert_eq!((plan.calls(Verb::Spend), plan.calls(Verb::Inspect)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn once_is_limited_and_may_be_tried_again() {
    let node = live(1);
    let _running = in_flight(&node, "1", LONG).await;
    let ana = Scope::new("user", "ana").unwrap();
    let work = || async { Ok::<_, &str>(1) };
    let once = node.runtime.once("mail", &ana, "k", &5, work).await;
    let error = once.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("live-claims"), "{error}");
    assert!(matches!(error, OnceError::Limited { .. }));
}

#[tokio::test(start_paused = true)]
async fn limits_that_let_nothing_run_are_refused() {
    let build = |limits| {
        let built = Runtime::builder(MemoryStore::new()).limits(limits).build();
        built.map(drop)
    };
    let none = Limits {
        live_claims: Some(0),
        ..Limits::NONE
    };
    assert_eq!(
        build(none),
        Err(PolicyError::ZeroLimit {
            limit: "live-claims"
        })
    );
    let none = Limits {
        stored_bytes: Some(0),
        ..Limits::NONE
    };
    assert_eq!(
        build(none),
        Err(PolicyError::ZeroLimit {
            limit: "stored-bytes"
        })
    );
    assert_eq!(build(Limits::NONE), Ok(()));
}

/// What was being told is lost with it, and what comes next is not.
#[test]
fn a_meter_is_told_again_when_the_tokio_runtime_that_told_it_has_ended() {
    let node = stored(1 << 20);
    for told in 1..=3 {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        node.store.plan().next(Verb::Spend, Fault::HangBefore);
        ran(&tokio.block_on(pay_for(&node, "ana", &told.to_string(), 10)));
        assert_eq!(node.store.plan().calls(Verb::Spend), told);
    }
}

/// Whoever has asked for a limit is to have it.
#[test]
fn what_is_stored_is_not_limited_by_a_store_that_keeps_no_meters() {
    let limits = Limits {
        stored_bytes: Some(1),
        ..Limits::NONE
    };
    let build = |builder: RuntimeBuilder| builder.limits(limits).build().map(drop);
    let store = Counting::default();
    for builder in [
        Runtime::builder(store.clone()),
        Runtime::builder(Arc::new(store)),
    ] {
        let error = build(builder).unwrap_err();
        assert!(matches!(error, PolicyError::Unmetered { .. }), "{error}");
        assert!(error.to_string().contains("Counting"), "{error}");
    }
    assert_eq!(build(Runtime::builder(MemoryStore::new())), Ok(()));
}

/// Nobody polls it any more: what it holds is free at once.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_its_claim_is_sent_takes_no_seat() {
    let node = live(1);
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    drop(node.pay_after(node.call("ana", "1", "5"), async move {
        drop(held.acquire().await);
    }));
    assert!(node.pay("2").now_or_never().is_some());
    ran(&node.pay("3").await);
}
