//! The secret is changed while the service runs: one key, one effect, one answer,
//! by nodes of any two neighbouring stages.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::{GRACE, LAPSE, LEASE, Node, TTL, in_progress, ran, replayed, until};
use idem_core::{
    Drained, Execution, Finish, IdempotencyKey, Operation, Overrides, RuntimeBuilder, Scope, Slot,
    StepError, Steps, Stored,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep},
};

const MS: Duration = Duration::from_millis(1);

/// A secret before and one after; `None` is to have none.
type Secrets = (Option<&'static str>, Option<&'static str>);

const ROTATIONS: [Secrets; 3] = [
    (Some("old"), Some("new")),
    (None, Some("first")),
    (Some("last"), None),
];

/// The runtime at a stage of the rotation, 1 to 4.
fn at(stage: usize, (old, new): Secrets) -> impl Fn(RuntimeBuilder) -> RuntimeBuilder {
    let (current, accepted) = match stage {
        1 => (old, None),
        2 => (old, Some(new)),
        3 => (new, Some(old)),
        _ => (new, None),
    };
    move |mut builder| {
        if let Some(secret) = current {
            builder = builder.secret(secret);
        }
        match accepted {
            Some(Some(secret)) => builder.accept_secret(secret),
            Some(None) => builder.accept_no_secret(),
            None => builder,
        }
    }
}

/// Nodes of one service at these stages.
fn nodes<const N: usize>(stages: [usize; N], secrets: Secrets) -> [Node; N] {
    let first = Node::built(ChaosStore::new(Arc::default()), at(stages[0], secrets));
    let mut stage = stages.into_iter();
    std::array::from_fn(|index| match (index, stage.next()) {
        (0, _) | (_, None) => first.clone(),
        (_, Some(stage)) => first.peer_built(at(stage, secrets)),
    })
}

/// Each pair of neighbouring stages of each rotation, from both sides.
fn neighbours() -> impl Iterator<Item = [Node; 2]> {
    let stages = [[1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3]];
    ROTATIONS
        .into_iter()
        .flat_map(move |secrets| stages.map(|stages| nodes(stages, secrets)))
}

fn slots_of(node: &Node) -> (Slot, Option<Slot>) {
    let (operation, key) = (Operation::new("pay"), IdempotencyKey::new("k").unwrap());
    let scope = Scope::new("user", "ana").unwrap();
    let runtime = &node.runtime;
    (
        runtime.slot(&operation, &scope, &key),
        runtime.alias(&operation, &scope, &key),
    )
}

#[tokio::test(start_paused = true)]
async fn what_runs_at_one_stage_is_in_progress_at_its_neighbour_and_replayed_when_it_is_done() {
    for [here, there] in neighbours() {
        let first = tokio::spawn(here.pay_slowly("k", LEASE));
        sleep(MS).await;
        in_progress(&there.pay("k").await);
        in_progress(&here.pay("k").await);
        assert_eq!(
            ran(&first.await.unwrap()),
            ("effect 1", 1, Stored::Recorded)
        );
        for node in [&here, &there] {
            assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
        }
        assert_eq!(here.effects(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_duplicates_at_neighbouring_stages_run_once() {
    for secrets in ROTATIONS {
        let [second, third] = nodes([2, 3], secrets);
        for round in 0..200 {
            let key = round.to_string();
            let racing: Vec<_> = [&second, &third, &second, &third]
                .map(|node| tokio::spawn(node.pay_after(node.call("ana", &key, "5"), async {})))
                .into();
            let mut answered = Vec::new();
            for racer in racing {
                answered.push(racer.await.unwrap());
            }
            assert_eq!(second.effects(), round + 1, "{answered:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_payload_is_refused_at_the_neighbouring_stage() {
    for [here, there] in neighbours() {
        here.pay("k").await;
        let other = there.call("ana", "k", "6");
        let outcome = there.pay_after(other, async {}).await;
        assert!(matches!(outcome, Execution::KeyReused), "{outcome:?}");
        assert_eq!(here.effects(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_released_key_goes_on_at_the_neighbouring_stage() {
    for [here, there] in neighbours() {
        here.fail("k").await;
        assert_eq!(
            ran(&there.pay("k").await),
            ("effect 2", 2, Stored::Recorded)
        );
        assert_eq!(replayed(&here.pay("k").await).record, "effect 2");
    }
}

/// Charges, waits, ships; the answer is the keys that the services downstream got.
fn order(
    node: &Node,
    stop: Arc<Notify>,
) -> impl Future<Output = Execution<String>> + Send + 'static {
    let call = node.call("ana", "k", "5");
    node.runtime
        .execute_in_steps(call, move |steps: Steps| async move {
            let charge = steps.key("charge");
            let kept = steps.run("charge", || async { Ok::<_, StepError<()>>(charge) });
            let charged = kept.await.unwrap();
            if steps.attempt() == 1 {
                stop.notified().await;
            }
            let answer = format!("{charged} {} {}", steps.key("charge"), steps.key("ship"));
            Finish::Record {
                record: Bytes::from(answer.clone()),
                answer,
            }
        })
}

#[tokio::test(start_paused = true)]
async fn a_takeover_at_the_neighbouring_stage_has_the_steps_and_the_same_keys_downstream() {
    for [here, there] in neighbours() {
        here.store.plan().always(Verb::Renew, Fault::FailBefore);
        let wakes = Arc::new(Notify::new());
        let silent = tokio::spawn(order(&here, Arc::clone(&wakes)));
        until(|| here.store.plan().calls(Verb::Checkpoint) == 1).await;
        sleep(LAPSE).await;
        let took = order(&there, Arc::default()).await;
        let (answer, attempt, stored) = ran(&took);
        assert_eq!((attempt, stored), (2, Stored::Recorded));
        let keys: Vec<_> = answer.split(' ').collect();
        assert_eq!(
            keys[0], keys[1],
            "the charge has another key in this attempt"
        );
        assert_ne!(keys[1], keys[2]);
        // The first wakes up, and its client gets what the other has recorded.
        wakes.notify_one();
        assert_eq!(replayed(&silent.await.unwrap()).record, answer.to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_under_the_accepted_secret_renews_and_is_told_of_its_successors_record() {
    let [old, new] = nodes([2, 3], ROTATIONS[0]);
    old.fail("k").await;
    // It is stored under the old secret, and the new node is its owner for long.
    let long = tokio::spawn(new.pay_slowly("k", 4 * LEASE));
    sleep(3 * LEASE).await;
    in_progress(&old.pay("k").await);
    assert_eq!(ran(&long.await.unwrap()).1, 2);

    let [old, new] = nodes([2, 3], ROTATIONS[0]);
    old.fail("k").await;
    new.store.plan().always(Verb::Renew, Fault::FailBefore);
    let silent = tokio::spawn(new.pay_slowly("k", 2 * LAPSE));
    sleep(LAPSE).await;
    assert_eq!(ran(&old.pay("k").await), ("effect 3", 3, Stored::Recorded));
    assert_eq!(replayed(&silent.await.unwrap()).record, "effect 3");
}

#[tokio::test(start_paused = true)]
async fn a_claim_under_the_accepted_secret_that_has_no_answer_is_given_back_there() {
    let [old, new] = nodes([2, 3], ROTATIONS[0]);
    old.fail("k").await;
    new.store.plan().always(Verb::Claim, Fault::FailAfter);
    let outcome = new.pay("k").await;
    assert!(matches!(outcome, Execution::StoreFailed(_)), "{outcome:?}");
    new.store.plan().clear();
    assert_eq!(new.runtime.drain(LEASE).await, Drained::Clean);
    assert_eq!(ran(&old.pay("k").await), ("effect 2", 3, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn in_one_process_duplicates_wake_at_once_whichever_secret_it_is_stored_under() {
    let [old, new] = nodes([2, 3], ROTATIONS[0]);
    old.fail("k").await;
    let new = new.with(Overrides {
        wait: Some(TTL),
        ..Overrides::NONE
    });
    let (end, ended) = oneshot::channel();
    let first = new.pay_before(new.call("ana", "k", "5"), async {
        ended.await.unwrap();
    });
    let first = tokio::spawn(first);
    sleep(MS).await;
    let waiting = new.clone();
    let second = tokio::spawn(async move { (waiting.pay("k").await, Instant::now()) });
    // Half a lease: nobody would look again by itself for as long again.
    sleep(LEASE / 2).await;
    let asked = new.store.plan().calls(Verb::Claim);
    end.send(()).unwrap();
    let now = Instant::now();
    let (outcome, woken) = second.await.unwrap();
    assert_eq!(replayed(&outcome).record, "effect 2");
    assert_eq!(woken, now);
    assert_eq!(ran(&first.await.unwrap()).1, 2);
    assert_eq!((asked, new.store.plan().calls(Verb::Claim)), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn the_last_stage_may_begin_a_ttl_and_grace_after_the_third() {
    for secrets in ROTATIONS {
        let [second, third, fourth] = nodes([2, 3, 4], secrets);
        second.pay("k").await;
        // Too early, it would run again: that is what the waiting is for.
        let (slot, alias) = slots_of(&third);
        assert!(fourth.runtime.inspect(slot).await.unwrap().is_none());
        let view = fourth.runtime.inspect(alias.unwrap()).await.unwrap();
        assert_eq!(view.unwrap().deleted_in, Some(TTL + GRACE));
        third.pay("other").await;
        sleep(TTL + GRACE).await;
        let old = fourth.runtime.inspect(alias.unwrap()).await.unwrap();
        assert_eq!(old, None);
        // What the third stage has stored, the fourth finds, and the other way round.
        third.pay("newest").await;
        assert_eq!(replayed(&fourth.pay("newest").await).record, "effect 3");
        fourth.pay("k").await;
        assert_eq!(replayed(&third.pay("k").await).record, "effect 4");
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_secret_no_store_sees_the_plain_fingerprint() {
    for [here, there] in neighbours() {
        let plain = here.call("ana", "k", "5").fingerprint;
        assert_eq!(plain, there.call("ana", "k", "5").fingerprint);
        here.pay("k").await;
        there.pay("k").await;
        let (slot, alias) = slots_of(&here);
        let mut stored = here.runtime.inspect(slot).await.unwrap();
        if let (None, Some(alias)) = (&stored, alias) {
            stored = here.runtime.inspect(alias).await.unwrap();
        }
        let is_plain = stored.unwrap().fingerprint == plain;
        let unkeyed = Node::new();
        let without_secret = slots_of(&unkeyed).0;
        assert_eq!(is_plain, slot == without_secret);
    }
}
