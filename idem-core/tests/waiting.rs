//! Duplicates that are told to wait for the first one's answer.
#![cfg(feature = "testing")]

mod common;

use std::time::Duration;

use common::{LAPSE, LEASE, Node, Outcome, in_progress, ran, replayed};
use futures_util::future::join_all;
use idem_core::{
    Execution, Overrides, Stored,
    testing::{Fault, Verb},
};
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);
const WAIT: Duration = Duration::from_secs(20);

fn waiting() -> Node {
    Node::new().with(Overrides {
        wait: Some(WAIT),
        ..Overrides::NONE
    })
}

async fn crowd(node: &Node, size: usize) -> Vec<Outcome> {
    join_all((0..size).map(|_| node.pay("k"))).await
}

#[tokio::test(start_paused = true)]
async fn in_one_process_duplicates_wake_at_once_and_nobody_polls() {
    let node = waiting();
    let first = tokio::spawn(node.pay_slowly("k", Duration::from_secs(10)));
    sleep(MS).await;
    let started = Instant::now();
    let answers = crowd(&node, 100).await;
    assert!(started.elapsed() <= Duration::from_secs(10));
    for answer in &answers {
        assert_eq!(replayed(answer).record, "effect 1");
    }
    assert_eq!(ran(&first.await.unwrap()).1, 1);
    // Each asks, asks again once it is listed among those who wait, and asks
    // when it is woken. (A lease of 3 s lapses in between for whoever sees it so.)
    let claims = node.store.plan().calls(Verb::Claim);
    assert!(claims <= 1 + 100 * (3 + 4), "{claims} claims");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_on_another_node_gets_the_answer_soon_after() {
    let node = waiting();
    let first = tokio::spawn(node.pay_slowly("k", Duration::from_secs(10)));
    sleep(MS).await;
    let peer = node.peer();
    let started = Instant::now();
    assert_eq!(replayed(&peer.pay("k").await).record, "effect 1");
    assert!(started.elapsed() < Duration::from_millis(10_600));
    assert_eq!(ran(&first.await.unwrap()).1, 1);
    let claims = peer.store.plan().calls(Verb::Claim);
    assert!((10..60).contains(&claims), "{claims} claims in 10 s");
}

#[tokio::test(start_paused = true)]
async fn duplicates_on_another_node_ask_as_one() {
    let node = waiting();
    let first = tokio::spawn(node.pay_slowly("k", Duration::from_secs(10)));
    sleep(MS).await;
    let peer = node.peer();
    // None of them asks only when another has its answer.
    let slow = Fault::DelayAfter(20 * MS);
    peer.store.plan().always(Verb::Claim, slow);
    let started = Instant::now();
    let answers = crowd(&peer, 100).await;
    assert!(started.elapsed() < Duration::from_millis(10_600));
    for answer in &answers {
        assert_eq!(replayed(answer).record, "effect 1");
    }
    assert_eq!(ran(&first.await.unwrap()).1, 1);
    // Each asks when it comes, when it is listed, and when it is told; in
    // between one asks for all.
    let claims = peer.store.plan().calls(Verb::Claim);
    assert!(claims <= 3 * 100 + 60, "{claims} claims");
}

#[tokio::test(start_paused = true)]
async fn when_the_one_who_asks_for_all_has_gone_another_asks() {
    let node = waiting();
    let first = tokio::spawn(node.pay_slowly("k", Duration::from_secs(10)));
    sleep(MS).await;
    let peer = node.peer();
    let asking = tokio::spawn(peer.pay_slowly("k", Duration::ZERO));
    sleep(100 * MS).await;
    let other = tokio::spawn(peer.pay_slowly("k", Duration::ZERO));
    sleep(100 * MS).await;
    asking.abort();
    let started = Instant::now();
    assert_eq!(replayed(&other.await.unwrap()).record, "effect 1");
    assert!(started.elapsed() < Duration::from_millis(10_600));
    assert_eq!(ran(&first.await.unwrap()).1, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_waited_long_enough_is_told_that_it_is_in_progress() {
    let node = waiting();
    let first = tokio::spawn(node.pay_slowly("k", 3 * WAIT));
    sleep(MS).await;
    for peer in [node.clone(), node.peer()] {
        let started = Instant::now();
        in_progress(&peer.pay("k").await);
        let waited = started.elapsed();
        assert!(waited >= WAIT && waited < WAIT + 50 * MS, "{waited:?}");
    }
    assert_eq!(ran(&first.await.unwrap()).1, 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_first_keeps_nothing_one_of_those_who_wait_runs() {
    for panics in [false, true] {
        let node = waiting();
        let call = node.call("ana", "k", "5");
        let first = node.runtime.execute(call, async move {
            sleep(1_000 * MS).await;
            assert!(!panics, "this handler panics on purpose");
            let answer = String::from("failed");
            idem_core::Finish::Release { answer }
        });
        let first = tokio::spawn(first);
        sleep(MS).await;
        let answers = crowd(&node, 20).await;
        let mut runs = 0;
        for answer in &answers {
            match answer {
                Execution::Ran { .. } => {
                    runs += 1;
                    assert_eq!(ran(answer), ("effect 1", 2, Stored::Recorded));
                }
                other => assert_eq!(replayed(other).record, "effect 1"),
            }
        }
        assert_eq!((runs, node.effects()), (1, 1));
        first.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_first_falls_silent_one_of_those_who_wait_takes_over() {
    let node = waiting();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let silent = tokio::spawn(node.pay_slowly("k", 2 * WAIT));
    sleep(MS).await;
    let peer = node.peer();
    let started = Instant::now();
    let answers = crowd(&peer, 20).await;
    assert!(started.elapsed() < LAPSE, "{:?}", started.elapsed());
    assert!(started.elapsed() > LEASE / 2);
    let runs = answers
        .iter()
        .filter(|a| matches!(a, Execution::Ran { .. }));
    assert_eq!(runs.count(), 1);
    assert_eq!(peer.effects(), 2);
    silent.abort();
}

#[tokio::test(start_paused = true)]
async fn another_payload_does_not_wait() {
    let node = waiting();
    let first = tokio::spawn(node.pay_slowly("k", Duration::from_secs(10)));
    sleep(MS).await;
    let started = Instant::now();
    let other = node.pay_after(node.call("ana", "k", "6"), async {}).await;
    assert!(matches!(other, Execution::KeyReused), "{other:?}");
    assert!(started.elapsed() < 10 * MS);
    assert_eq!(ran(&first.await.unwrap()).1, 1);
}
