//! Recorded answers that a process keeps: what it replays without the store, and for how long.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{GRACE, LAPSE, LEASE, Node, TTL, in_progress, ran, replayed};
use futures_util::future::join_all;
use idem_core::{
    Execution, Limits, Overrides, ReplayCache, RuntimeBuilder, Stored,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::time::{advance, sleep};

const MS: Duration = Duration::from_millis(1);
const AGE: Duration = Duration::from_secs(10);

fn caching(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder.replay_cache(ReplayCache {
        max_bytes: 1 << 20,
        max_age: AGE,
    })
}

fn node() -> Node {
    Node::built(ChaosStore::new(Arc::default()), caching)
}

/// How often the store was asked by calls.
fn asked(node: &Node) -> u64 {
    node.store.plan().calls(Verb::Claim) + node.store.plan().calls(Verb::Inspect)
}

#[tokio::test(start_paused = true)]
async fn who_has_recorded_an_answer_replays_it_without_the_store() {
    let node = node();
    ran(&node.pay("k").await);
    node.store.plan().always(Verb::Claim, Fault::FailBefore);
    for _ in 0..3 {
        let answer = node.pay("k").await;
        let replay = replayed(&answer);
        assert_eq!((&*replay.record, replay.expired), (&b"effect 1"[..], false));
    }
    assert_eq!(asked(&node), 1);
}

#[tokio::test(start_paused = true)]
async fn another_node_asks_once_and_again_when_it_is_too_old() {
    let node = node();
    ran(&node.pay("k").await);
    let peer = node.peer_built(caching);
    for round in 1..=3 {
        for _ in 0..5 {
            assert_eq!(replayed(&peer.pay("k").await).record, "effect 1");
        }
        assert_eq!(asked(&peer), round);
        advance(AGE).await;
    }
    let without = node.peer();
    for _ in 0..2 {
        replayed(&without.pay("k").await);
    }
    assert_eq!(asked(&without), 2);
}

/// A slow store: what it says was true when it was asked.
#[tokio::test(start_paused = true)]
async fn an_answers_age_counts_from_before_the_question() {
    let node = node();
    ran(&node.pay("k").await);
    let peer = node.peer_built(caching);
    let slow = Fault::DelayAfter(400 * MS);
    peer.store.plan().next(Verb::Claim, slow);
    replayed(&peer.pay("k").await);
    advance(AGE - 401 * MS).await;
    replayed(&peer.pay("k").await);
    assert_eq!(asked(&peer), 1);
    advance(MS).await;
    replayed(&peer.pay("k").await);
    assert_eq!(asked(&peer), 2);
}

#[tokio::test(start_paused = true)]
async fn past_its_ttl_a_record_is_the_stores_to_replay() {
    let node = node().with(Overrides {
        ttl: Some(4 * LEASE),
        ..Overrides::NONE
    });
    ran(&node.pay("k").await);
    advance(4 * LEASE - AGE / 2).await;
    let peer = node.peer_built(caching);
    for node in [&node, &peer] {
        assert!(!replayed(&node.pay("k").await).expired);
    }
    advance(AGE / 2).await;
    for node in [&node, &peer] {
        assert!(replayed(&node.pay("k").await).expired);
    }
    advance(GRACE).await;
    assert_eq!(ran(&node.pay("k").await), ("effect 2", 1, Stored::Recorded));
    assert_eq!(replayed(&peer.pay("k").await).record, "effect 2");
}

#[tokio::test(start_paused = true)]
async fn another_payload_is_refused_with_or_without_the_store() {
    let node = node();
    ran(&node.pay("k").await);
    for up in [true, false] {
        if !up {
            node.store.plan().always(Verb::Claim, Fault::FailBefore);
        }
        let other = node.pay_after(node.call("ana", "k", "6"), async {});
        assert!(matches!(other.await, Execution::KeyReused));
        let other = if up { "bob" } else { "eve" };
        let other = node.pay_after(node.call(other, "k", "5"), async {}).await;
        assert_eq!(matches!(other, Execution::StoreFailed(_)), !up, "{other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_yet_is_not_replayed_yet() {
    let node = node();
    node.store.plan().always(Verb::Complete, Fault::FailBefore);
    assert_eq!(ran(&node.pay("k").await).2, Stored::Pending);
    in_progress(&node.pay("k").await);
    node.store.plan().clear();
    sleep(2 * LEASE).await;
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    // What is released is not kept either.
    node.fail("released").await;
    assert_eq!(ran(&node.pay("released").await).1, 2);
}

/// The record that its background task has stored late was perhaps applied by the first try.
#[tokio::test(start_paused = true)]
async fn an_answer_that_was_stored_late_is_no_younger() {
    let node = node().with(Overrides {
        ttl: Some(2 * LEASE),
        ..Overrides::NONE
    });
    // Applied at once, and its replies are lost.
    node.store.plan().always(Verb::Complete, Fault::FailAfter);
    assert_eq!(ran(&node.pay("k").await).2, Stored::Pending);
    sleep(LEASE / 3).await;
    node.store.plan().clear();
    sleep(2 * LEASE - 3 * MS).await;
    assert!(replayed(&node.pay("k").await).expired);
}

#[tokio::test(start_paused = true)]
async fn whoever_was_taken_over_from_replays_the_others_answer() {
    let silent = node();
    silent.store.plan().always(Verb::Renew, Fault::FailBefore);
    let slow = tokio::spawn(silent.pay_slowly("k", 3 * LAPSE));
    sleep(LAPSE).await;
    let peer = silent.peer_built(caching);
    assert_eq!(ran(&peer.pay("k").await), ("effect 2", 2, Stored::Recorded));
    assert_eq!(replayed(&slow.await.unwrap()).record, "effect 2");
    for node in [&silent, &peer] {
        assert_eq!(replayed(&node.pay("k").await).record, "effect 2");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_here_are_answered_without_the_store() {
    let node = node().with(Overrides {
        wait: Some(TTL),
        ..Overrides::NONE
    });
    let first = tokio::spawn(node.pay_slowly("k", LEASE / 2));
    sleep(MS).await;
    let waiting = join_all((0..50).map(|_| node.pay("k")));
    let (before, answers) = tokio::join!(
        async {
            sleep(LEASE / 4).await;
            asked(&node)
        },
        waiting
    );
    for answer in &answers {
        assert_eq!(replayed(answer).record, "effect 1");
    }
    ran(&first.await.unwrap());
    assert_eq!(asked(&node), before);
}

#[tokio::test(start_paused = true)]
async fn a_replay_takes_no_seat() {
    let limits = Limits {
        live_claims: Some(1),
        ..Limits::NONE
    };
    let node = Node::built(ChaosStore::new(Arc::default()), |builder| {
        caching(builder).limits(limits)
    });
    ran(&node.pay("k").await);
    let slow = tokio::spawn(node.pay_slowly("slow", LEASE));
    sleep(MS).await;
    let before = asked(&node);
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    assert_eq!(asked(&node), before);
    ran(&slow.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn while_a_secret_is_rotated_an_answer_is_found_under_either_name() {
    let old = Node::built(ChaosStore::new(Arc::default()), |builder| {
        builder.secret("old")
    });
    ran(&old.pay("k").await);
    let rotating = old.peer_built(|builder| caching(builder).secret("new").accept_secret("old"));
    for _ in 0..3 {
        assert_eq!(replayed(&rotating.pay("k").await).record, "effect 1");
    }
    ran(&rotating.pay("l").await);
    replayed(&rotating.pay("l").await);
    assert_eq!(asked(&rotating), 2);
    let other = rotating.pay_after(rotating.call("ana", "k", "6"), async {});
    assert!(matches!(other.await, Execution::KeyReused));
}

#[cfg(feature = "encryption")]
#[tokio::test(start_paused = true)]
async fn what_is_sealed_is_kept_sealed_and_opened_for_each_replay() {
    use idem_core::encryption::{Key, Keyring};

    let keys = || Keyring::new(Key::new("k", &[1; 32]).unwrap());
    let node = Node::built(ChaosStore::new(Arc::default()), |builder| {
        caching(builder).encryption(keys())
    });
    ran(&node.pay("k").await);
    let peer = node.peer_built(|builder| caching(builder).encryption(keys()));
    let keyless = node.peer_built(caching);
    for _ in 0..2 {
        assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
        assert_eq!(replayed(&peer.pay("k").await).record, "effect 1");
        let unopened = keyless.pay("k").await;
        assert!(
            matches!(unopened, Execution::StoreFailed(_)),
            "{unopened:?}"
        );
    }
    assert_eq!(asked(&node) + asked(&peer) + asked(&keyless), 3);
}

/// What a node records of a slot that stands under the accepted secret opens there alone.
#[cfg(feature = "encryption")]
#[tokio::test(start_paused = true)]
async fn what_is_recorded_under_the_accepted_secret_is_opened_where_it_stands() {
    use idem_core::encryption::{Key, Keyring};

    let keys = || Keyring::new(Key::new("k", &[1; 32]).unwrap());
    let old = Node::built(ChaosStore::new(Arc::default()), |builder| {
        builder.secret("old").encryption(keys())
    });
    old.fail("k").await;
    let rotating = old.peer_built(|builder| {
        let builder = caching(builder).encryption(keys());
        builder.secret("new").accept_secret("old")
    });
    assert_eq!(ran(&rotating.pay("k").await).1, 2);
    assert_eq!(replayed(&rotating.pay("k").await).record, "effect 2");
    assert_eq!(asked(&rotating), 1);
}

#[cfg(feature = "compression")]
#[tokio::test(start_paused = true)]
async fn what_is_compressed_is_kept_compressed_and_expanded_for_each_replay() {
    use bytes::Bytes;
    use idem_core::{Compression, Finish};

    // It has no room in the cache, and a twentieth of it has.
    let answer = || "{\"state\":\"paid\"},".repeat(1000);
    let small = ReplayCache {
        max_bytes: 8 << 10,
        max_age: AGE,
    };
    let order = async |node: &Node| {
        let work = async move {
            Finish::Record {
                record: Bytes::from(answer()),
                answer: answer(),
            }
        };
        node.runtime.execute(node.call("ana", "k", "5"), work).await
    };
    let node = Node::built(ChaosStore::new(Arc::default()), |builder| {
        let builder = builder.replay_cache(small);
        builder.compress(Compression::default())
    });
    ran(&order(&node).await);
    let peer = node.peer_built(|builder| builder.replay_cache(small));
    for _ in 0..3 {
        assert_eq!(replayed(&order(&node).await).record, answer());
        assert_eq!(replayed(&order(&peer).await).record, answer());
    }
    assert_eq!((asked(&node), asked(&peer)), (1, 1));
}
