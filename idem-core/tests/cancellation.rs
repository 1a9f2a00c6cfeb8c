//! The client goes away. hyper then drops the handler's future, wherever it is.
#![cfg(feature = "testing")]

mod common;

use std::time::Duration;

use common::{LAPSE, Node, PATIENCE, in_progress, ran, replayed, until};
use futures_util::{FutureExt, poll};
use idem_core::{
    Drained, Execution, Overrides, Stored,
    testing::{Fault, Leftovers, Verb},
};
use tokio::{task::yield_now, time::sleep};

const MS: Duration = Duration::from_millis(1);

/// Polls a future for so long, then drops it.
async fn hang_up_after<T>(time: Duration, call: impl Future<Output = T>) {
    let ended = tokio::time::timeout(time, call).await;
    assert!(ended.is_err(), "it ended before the client hung up");
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_when_its_client_has_gone() {
    let node = Node::new();
    let slow = node.pay_after(node.call("ana", "k", "5"), sleep(100 * MS));
    hang_up_after(50 * MS, slow).await;
    assert_eq!(node.effects(), 0, "the effect was still to come");
    in_progress(&node.pay("k").await);
    let retry = node.pay_until_answered("k").await;
    assert_eq!(replayed(&retry).record, "effect 1");
    assert_eq!(node.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_record_lands_when_the_client_goes_between_effect_and_record() {
    let node = Node::new();
    node.store
        .plan()
        .next(Verb::Complete, Fault::DelayBefore(400 * MS));
    hang_up_after(100 * MS, node.pay("k")).await;
    assert_eq!(node.effects(), 1);
    let retry = node.pay_until_answered("k").await;
    assert_eq!(replayed(&retry).record, "effect 1");
    assert_eq!(node.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_won_for_a_client_that_has_gone_is_executed() {
    for fault in [
        Fault::DelayBefore(400 * MS),
        Fault::DelayAfter(400 * MS),
        Fault::FailAfter,
        Fault::HangAfter,
    ] {
        let node = Node::new();
        node.store.plan().next(Verb::Claim, fault);
        hang_up_after(5 * MS, node.pay("k")).await;
        assert_eq!(node.effects(), 0, "{fault:?}");
        // Within the store's deadline, not after a lease.
        sleep(2_000 * MS).await;
        assert_eq!(node.effects(), 1, "{fault:?}");
        assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_before_the_claim_is_sent_leaves_nothing() {
    let node = Node::new();
    drop(node.pay("k"));
    assert_eq!(node.store.plan().calls(Verb::Claim), 0);
    assert_eq!(node.runtime.drain(MS).await, Drained::Clean);
    assert_eq!(ran(&node.pay("k").await), ("effect 1", 1, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_that_only_waits_ends_with_its_client() {
    let node = Node::new().with(Overrides {
        wait: Some(Duration::from_secs(30)),
        ..Overrides::NONE
    });
    let first = tokio::spawn(node.pay_slowly("k", Duration::from_secs(10)));
    sleep(MS).await;
    hang_up_after(100 * MS, node.pay("k")).await;
    let claims = node.store.plan().calls(Verb::Claim);
    assert_eq!(ran(&first.await.unwrap()).1, 1);
    sleep(MS).await;
    assert_eq!(
        node.store.plan().calls(Verb::Claim),
        claims,
        "nobody is there any more who waits"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_after_the_client_has_gone_releases_the_slot() {
    let node = Node::new();
    let call = node.call("ana", "k", "5");
    let work = async {
        sleep(100 * MS).await;
        panic!("this handler panics on purpose")
    };
    hang_up_after(50 * MS, node.runtime.execute::<String, _>(call, work)).await;
    let retry = node.pay_until_answered("k").await;
    assert_eq!(ran(&retry), ("effect 1", 2, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn work_that_runs_without_protection_is_not_cut_off_either() {
    let node = Node::new().with(Overrides {
        store_error: Some(idem_core::OnStoreError::FailOpen),
        ..Overrides::NONE
    });
    node.store.plan().always(Verb::Claim, Fault::FailBefore);
    let slow = node.pay_after(node.call("ana", "k", "5"), sleep(5_000 * MS));
    hang_up_after(4_000 * MS, slow).await;
    assert_eq!(node.effects(), 0);
    sleep(5_000 * MS).await;
    assert_eq!(node.effects(), 1);
}

/// Every command of the store and the work itself take several polls, and the
/// client hangs up after each number of polls there is.
async fn hang_up_everywhere(slow: Fault) {
    for polls in 0.. {
        let node = Node::new();
        node.store.plan().next(Verb::Claim, slow);
        node.store.plan().next(Verb::Complete, slow);
        let work = async {
            yield_now().await;
            sleep(10 * MS).await;
            yield_now().await;
        };
        let mut first = Box::pin(node.pay_before(node.call("ana", "k", "5"), work));
        let mut ended = false;
        for _ in 0..polls {
            ended = poll!(&mut first).is_ready();
            if ended {
                break;
            }
            sleep(MS).await;
        }
        drop(first);

        // Whichever of the two claims came first, there is one effect and one answer.
        let retry = node.peer().pay_until_answered("k").await;
        assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
        assert_eq!(node.effects(), 1, "{slow:?}, after {polls} polls");
        assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
        match retry {
            Execution::Ran { answer, .. } => assert_eq!(answer, "effect 1"),
            other => assert_eq!(replayed(&other).record, "effect 1"),
        }
        if ended {
            assert!(polls > 20, "there were only {polls} points to hang up at");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_up_at_any_await_neither_loses_the_record_nor_runs_twice() {
    hang_up_everywhere(Fault::DelayBefore(10 * MS)).await;
    hang_up_everywhere(Fault::DelayAfter(10 * MS)).await;
}

/// Or `leftovers` shows nothing whatever is left.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_seen_and_nothing_of_it_is_left_in_the_end() {
    let node = Node::new().with(Overrides {
        wait: Some(Duration::from_secs(30)),
        ..Overrides::NONE
    });
    assert_eq!(node.runtime.leftovers(), Leftovers::default());
    let slow = node.pay_after(node.call("ana", "slow", "5"), sleep(5_000 * MS));
    hang_up_after(50 * MS, slow).await;
    let waiting = tokio::spawn(node.pay_slowly("slow", MS));
    yield_now().await;
    node.store.plan().always(Verb::Claim, Fault::FailAfter);
    let lost = node.pay("lost").await;
    assert!(matches!(lost, Execution::StoreFailed(_)), "{lost:?}");
    assert_eq!(
        node.runtime.leftovers(),
        Leftovers {
            tasks: 3,
            heartbeats: 1,
            waited_for: 1,
            settling: 1
        }
    );
    node.store.plan().clear();
    assert_eq!(replayed(&waiting.await.unwrap()).record, "effect 1");
    assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
    assert_eq!(node.runtime.leftovers(), Leftovers::default());
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_what_its_clients_have_left() {
    let node = Node::new();
    hang_up_after(MS, node.pay_slowly("k", 300 * MS)).await;
    assert_eq!(node.runtime.drain(100 * MS).await, Drained::Left(1));
    assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    // Draining closes nothing: it may be called again, and calls go on.
    assert_eq!(ran(&node.pay("l").await).1, 1);
    assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_answers_that_are_not_stored_yet() {
    let node = Node::new();
    node.store.plan().always(Verb::Complete, Fault::FailBefore);
    assert_eq!(ran(&node.pay("k").await).2, Stored::Pending);
    assert_eq!(node.runtime.drain(LAPSE).await, Drained::Left(1));
    node.store.plan().clear();
    assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
}

tokio::task_local! {
    static REQUEST: u32;
}

#[tokio::test(start_paused = true)]
async fn task_locals_are_seen_in_place_and_carried_when_the_client_has_gone() {
    let node = Node::built(Node::new().store, |builder| {
        builder.carry(|rest| match REQUEST.try_with(|id| *id) {
            Ok(id) => REQUEST.scope(id, rest).boxed(),
            Err(_) => rest,
        })
    });
    let (seen, mut sees) = tokio::sync::mpsc::unbounded_channel();
    let call = node.call("ana", "k", "5");
    let work = async move {
        seen.send(REQUEST.get()).unwrap();
        sleep(100 * MS).await;
        seen.send(REQUEST.get()).unwrap();
        idem_core::Finish::Release { answer: () }
    };
    let execution = REQUEST.scope(17, node.runtime.execute(call, work));
    hang_up_after(50 * MS, execution).await;
    assert_eq!(sees.recv().await, Some(17));
    assert_eq!(sees.recv().await, Some(17));
    assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_outside_of_tokio_goes_on_where_it_was_polled() {
    let node = Node::new();
    let mut slow = Box::pin(node.pay_slowly("k", 100 * MS));
    assert!(poll!(&mut slow).is_pending());
    std::thread::spawn(move || drop(slow)).join().unwrap();
    until(|| node.effects() == 1).await;
    assert_eq!(
        replayed(&node.pay_until_answered("k").await).record,
        "effect 1"
    );
}

#[tokio::test(start_paused = true)]
async fn many_clients_that_hang_up_and_retry_have_one_effect() {
    let node = Node::new();
    for _ in 0..50 {
        let call = node.pay_slowly("k", 60 * MS);
        let _ = tokio::time::timeout(7 * MS, call).await;
    }
    let retry = node.pay_until_answered("k").await;
    assert!(matches!(retry, Execution::Replayed(_)), "{retry:?}");
    assert_eq!(node.effects(), 1);
}
