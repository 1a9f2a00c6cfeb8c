//! Leases are kept alive while the work runs, and when they are not, a retry
//! takes over and everybody gets the one recorded answer.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use bytes::Bytes;
use common::{LAPSE, LEASE, Node, counting::Counting, in_progress, ran, replayed};
use futures_util::{FutureExt, future::join_all};
use idem_core::{
    Call, Execution, FingerprintBuilder, Finish, IdempotencyKey, MemoryStore, OnCrash, Operation,
    Overrides, Runtime, Scope, SlotState, Store, Stored,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn work_that_outlives_its_lease_many_times_keeps_its_slot() {
    let node = Node::new();
    let slow = tokio::spawn(node.pay_slowly("k", 10 * LEASE));
    for _ in 0..9 {
        sleep(LEASE).await;
        assert!(in_progress(&node.peer().pay("k").await) > LEASE / 2);
    }
    assert_eq!(ran(&slow.await.unwrap()), ("effect 1", 1, Stored::Recorded));
    let beats = node.store.plan().calls(Verb::Renew);
    assert!(
        (25..=31).contains(&beats),
        "{beats} in 30 thirds of a lease"
    );
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_ends_with_its_work() {
    let node = Node::new();
    node.pay_slowly("recorded", 2 * LEASE).await;
    node.fail("released").await;
    node.panic("panicked").await;
    let beats = node.store.plan().calls(Verb::Renew);
    sleep(10 * LEASE).await;
    assert_eq!(node.store.plan().calls(Verb::Renew), beats);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_lease_that_begins_later_is_renewed_in_its_own_time() {
    let node = Node::new();
    let patient = node.clone().with(Overrides {
        lease: Some(10 * LEASE),
        ..Overrides::NONE
    });
    let long = tokio::spawn(patient.pay_slowly("long", 5 * LEASE));
    sleep(Duration::from_millis(1)).await;
    let short = tokio::spawn(node.pay_slowly("short", 3 * LEASE));
    sleep(LAPSE).await;
    in_progress(&node.peer().pay("short").await);
    let beats = node.store.plan().calls(Verb::Renew);
    assert!((3..=4).contains(&beats), "{beats} in 4 s");
    assert_eq!(ran(&short.await.unwrap()).1, 1);
    assert_eq!(ran(&long.await.unwrap()).1, 1);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_was_fenced_does_not_ask_again() {
    let (node, peer, stale) = taken_over(4 * LAPSE).await;
    peer.pay("k").await;
    node.store.plan().clear();
    sleep(LEASE).await;
    let beats = node.store.plan().calls(Verb::Renew);
    sleep(LEASE).await;
    assert_eq!(node.store.plan().calls(Verb::Renew), beats);
    stale.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_when_the_runtime_is_dropped() {
    let node = Node::new();
    node.pay_slowly("k", 2 * LEASE).await;
    let tasks = tokio::runtime::Handle::current().metrics();
    assert_eq!(tasks.num_alive_tasks(), 1, "the heartbeats' task");
    drop(node);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(tasks.num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_tried_again_before_the_lease_lapses() {
    for fault in [
        Fault::FailBefore,
        Fault::LoseCommand,
        Fault::FailAfter,
        Fault::HangBefore,
    ] {
        let node = Node::new();
        let slow = tokio::spawn(node.pay_slowly("k", 3 * LEASE));
        sleep(Duration::from_millis(1)).await;
        node.store.plan().next(Verb::Renew, fault);
        sleep(LAPSE).await;
        in_progress(&node.peer().pay("k").await);
        assert_eq!(ran(&slow.await.unwrap()).1, 1, "{fault:?}");
        assert_eq!(node.effects(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_renewal_that_hangs_does_not_hold_up_the_others() {
    let node = Node::new();
    let slow: Vec<_> = (0..10)
        .map(|key| tokio::spawn(node.pay_slowly(&format!("k{key}"), 3 * LEASE)))
        .collect();
    sleep(Duration::from_millis(1)).await;
    node.store.plan().next(Verb::Renew, Fault::HangBefore);
    sleep(LAPSE).await;
    for key in 0..10 {
        in_progress(&node.peer().pay(&format!("k{key}")).await);
    }
    for slow in slow {
        assert_eq!(ran(&slow.await.unwrap()).2, Stored::Recorded);
    }
}

/// The heartbeat of the first execution is dead; another node takes over while
/// it is still at work.
async fn taken_over(
    first_takes: Duration,
) -> (Node, Node, tokio::task::JoinHandle<common::Outcome>) {
    let node = Node::new();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let stale = tokio::spawn(node.pay_slowly("k", first_takes));
    sleep(LAPSE).await;
    let peer = node.peer();
    (node, peer, stale)
}

#[tokio::test(start_paused = true)]
async fn a_stale_owner_is_refused_and_its_client_gets_the_recorded_answer() {
    let (node, peer, stale) = taken_over(2 * LAPSE).await;
    let retry = peer.pay("k").await;
    assert_eq!(ran(&retry), ("effect 2", 2, Stored::Recorded));

    // It had effect 1, and answers what everybody else is answered.
    assert_eq!(replayed(&stale.await.unwrap()).record, "effect 2");
    assert_eq!(replayed(&node.pay("k").await).record, "effect 2");
    assert_eq!(node.effects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_owner_that_ends_first_waits_for_the_newer_answer() {
    let (_node, peer, stale) = taken_over(LAPSE + Duration::from_millis(500)).await;
    let retry = tokio::spawn(peer.pay_slowly("k", Duration::from_secs(2)));
    assert_eq!(replayed(&stale.await.unwrap()).record, "effect 2");
    assert_eq!(ran(&retry.await.unwrap()).1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_owner_does_not_wait_for_ever() {
    let (_node, peer, stale) = taken_over(LAPSE + Duration::from_millis(500)).await;
    let retry = tokio::spawn(peer.pay_slowly("k", Duration::from_secs(60)));
    in_progress(&stale.await.unwrap());
    assert!(!retry.is_finished());
    retry.abort();
}

#[tokio::test(start_paused = true)]
async fn a_stale_owner_whose_successor_kept_nothing_says_so() {
    let (node, peer, stale) = taken_over(2 * LAPSE).await;
    assert_eq!(ran(&peer.fail("k").await), ("failed", 2, Stored::Released));
    assert_eq!(ran(&stale.await.unwrap()), ("effect 1", 1, Stored::Lost));
    // The retry that comes now is the third attempt.
    assert_eq!(ran(&node.pay("k").await).1, 3);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_lapsed_but_was_not_replaced_is_recorded() {
    let (node, _peer, stale) = taken_over(3 * LAPSE).await;
    assert_eq!(
        ran(&stale.await.unwrap()),
        ("effect 1", 1, Stored::Recorded)
    );
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
}

#[tokio::test(start_paused = true)]
async fn under_refuse_nobody_takes_over_and_the_owner_may_still_end() {
    let node = Node::new().with(Overrides {
        on_crash: Some(OnCrash::Refuse),
        ..Overrides::NONE
    });
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let silent = tokio::spawn(node.pay_slowly("k", 2 * LAPSE));
    sleep(LAPSE).await;
    let retry = node.peer().pay("k").await;
    assert!(matches!(retry, Execution::OutcomeUnknown), "{retry:?}");
    assert_eq!(
        ran(&silent.await.unwrap()),
        ("effect 1", 1, Stored::Recorded)
    );
    assert_eq!(replayed(&node.peer().pay("k").await).record, "effect 1");
    assert_eq!(node.effects(), 1);
}

#[test]
fn heartbeats_go_on_when_the_tokio_runtime_that_began_them_has_ended() {
    let store = ChaosStore::new(MemoryStore::new());
    let runtime = Runtime::builder(store.clone()).build().unwrap();
    for round in 0..3 {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let before = store.plan().calls(Verb::Renew);
        tokio.block_on(async {
            let key = format!("k{round}");
            let work = || async {
                sleep(Duration::from_secs(45)).await;
                Ok::<_, std::io::Error>(())
            };
            let done = runtime.once("slow", &Scope::GLOBAL, &key, &(), work).await;
            assert!(!done.unwrap().replayed);
        });
        // The lease is 30 s: every 10 s one, in each tokio runtime.
        let beats = store.plan().calls(Verb::Renew) - before;
        assert_eq!(beats, 4, "in round {round}");
    }
}

fn call(runtime: &Runtime, key: usize) -> Call {
    let operation = Operation::new("wait");
    let key = IdempotencyKey::new(key.to_string()).unwrap();
    let asked = FingerprintBuilder::new().finish();
    runtime.call(operation, &Scope::GLOBAL, &key, asked, runtime.settings())
}

const MANY: usize = 10_000;

/// Has many executions at work in the task of the test, looks at them at
/// `when`, and lets them end.
async fn many_at_work(store: &Counting, when: Duration, look: impl AsyncFnOnce(&Runtime)) {
    let runtime = store.runtime();
    let work = || async move {
        sleep(2 * when).await;
        let record = Bytes::from_static(b"done");
        Finish::Record { answer: (), record }
    };
    let executions = (0..MANY).map(|key| runtime.execute(call(&runtime, key), work()));
    let mut executions = join_all(executions).boxed();
    tokio::select! {
        _ = &mut executions => unreachable!("they take longer"),
        () = sleep(when) => {}
    }
    look(&runtime).await;
    for execution in executions.await {
        let Execution::Ran {
            attempt, stored, ..
        } = execution
        else {
            unreachable!("it should have run, and is {execution:?}");
        };
        assert_eq!((attempt, stored), (1, Stored::Recorded));
    }
}

async fn all_leases_are_alive(store: &Counting, runtime: &Runtime) {
    for key in 0..MANY {
        let slot = call(runtime, key).slot;
        let state = store.inspect(slot).await.unwrap().unwrap().state;
        assert!(matches!(state, SlotState::InFlight { .. }), "{state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_in_flight_are_one_task_and_few_commands() {
    let store = Counting::default();
    many_at_work(&store, LEASE + LEASE / 6, async |runtime| {
        let tasks = tokio::runtime::Handle::current().metrics();
        assert_eq!(tasks.num_alive_tasks(), 1, "the heartbeats' task");
        let calls = store.0.many.load(SeqCst);
        assert!(calls <= 3 * 22, "{calls} calls in 3 thirds of a lease");
        assert_eq!(store.0.renewals.load(SeqCst), 3 * MANY);
        all_leases_are_alive(&store, runtime).await;
    })
    .await;
    assert_eq!(store.0.single.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_is_not_sent_more_renewals_than_it_can_answer_in_time() {
    // All of them at once would take a second, and each call has half of one.
    let store = Counting::slow(Duration::from_millis(50));
    many_at_work(&store, 4 * LEASE, async |runtime| {
        assert_eq!(store.0.given_up.load(SeqCst), 0);
        all_leases_are_alive(&store, runtime).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_is_told_at_once_when_its_heartbeat_is_fenced() {
    let store = Counting::default();
    let runtime = store.runtime();
    let started = Instant::now();
    let working = runtime.execute_in_steps(call(&runtime, 1), {
        let store = store.clone();
        move |steps| async move {
            *store.0.fences.lock().unwrap() = Some(None);
            assert!(!steps.lease().is_lost());
            steps.lease().lost().await;
            Finish::Release {
                answer: Instant::now(),
            }
        }
    });
    let told = match working.await {
        Execution::Ran { answer, .. } => answer,
        other => unreachable!("it should have run, and is {other:?}"),
    };
    let said = store.0.fences.lock().unwrap().flatten();
    assert_eq!(Some(told), said);
    // And not because the lease was over.
    assert!(told < started + LEASE);
}
