//! What is stored is compressed, and whoever reads it gets what it was.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;

use bytes::Bytes;
use common::{
    Node,
    kept::{never_runs, with_record},
};
use idem_core::{Call, MemoryStore, record::Unopened, testing::ChaosStore};

/// Forty times an `a`, as every version with the feature `compression` reads it.
const COMPRESSED: &[u8] = b"idem\x01\x04\x28\x1fa\x01\x00\x0f\x50aaaaa\x13\x79\x85\x00";

/// A node over the store that does not compress; its effects are its own.
fn plain_node(store: &Arc<MemoryStore>) -> Node {
    Node::over(ChaosStore::new(Arc::clone(store)))
}

fn call(node: &Node) -> Call {
    node.call("ana", "k", "5")
}

#[cfg(not(feature = "compression"))]
#[tokio::test(start_paused = true)]
async fn a_build_without_the_feature_says_so_and_runs_nothing() {
    let call = call(&plain_node(&Arc::default()));
    let store = with_record(&call, Bytes::from_static(COMPRESSED)).await;
    let reason = never_runs(&plain_node(&store)).await;
    assert_eq!(reason, Unopened::Compressed);
    assert!(reason.to_string().contains("the feature `compression`"));

    let store = with_record(&call, Bytes::from_static(&COMPRESSED[..20])).await;
    let damaged = never_runs(&plain_node(&store)).await;
    assert!(matches!(damaged, Unopened::Malformed(_)), "{damaged:?}");
}

#[cfg(feature = "compression")]
mod with_the_feature {
    use std::{convert::Infallible, future::Future, time::Duration};

    use idem_core::{
        Compression, Execution, Fence, Finish, Limit, Limits, Overrides, Resolution, Resolved,
        Runtime, SLOT_BYTES, Scope, Seal, SlotState, StepError, Steps, Store, Stored, Written,
        record::RecordError, testing::Verb,
    };
    use tokio::time::sleep;

    use super::*;
    use crate::common::{
        LAPSE, Outcome, TTL,
        kept::{RETENTION, owned, stored},
        ran, replayed,
    };

    /// A long answer.
    fn answer() -> String {
        "{\"state\":\"paid\",\"cents\":1250},".repeat(1000)
    }

    fn always() -> Compression {
        Compression::from(0)
    }

    fn node(store: &Arc<MemoryStore>) -> Node {
        let store = ChaosStore::new(Arc::clone(store));
        Node::built(store, |builder| builder.compress(always()))
    }

    fn order_after(
        node: &Node,
        before: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        node.runtime.execute(call(node), async move {
            before.await;
            let answer = answer();
            Finish::Record {
                record: Bytes::from(answer.clone()),
                answer,
            }
        })
    }

    async fn order(node: &Node) -> Outcome {
        order_after(node, async {}).await
    }

    fn is_much_smaller(stored: &Bytes) -> bool {
        stored.starts_with(b"idem\x01\x04") && stored.len() < answer().len() / 20
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_stored_compressed_and_replayed_as_it_was_by_who_does_not_compress_too() {
        let store = Arc::<MemoryStore>::default();
        let node = node(&store);
        assert_eq!(ran(&order(&node).await).0, answer());
        assert!(is_much_smaller(&stored(&store, call(&node).slot).await));
        for node in [&node, &plain_node(&store)] {
            assert_eq!(replayed(&order(node).await).record, answer());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn by_default_and_below_the_threshold_it_is_stored_plain() {
        let length = answer().len();
        for (compression, is_compressed) in [
            (None, false),
            (Some(Compression::from(length + 1)), false),
            (Some(Compression::from(length)), true),
            (Some(Compression::default()), true),
        ] {
            let store = Arc::<MemoryStore>::default();
            let chaos = ChaosStore::new(Arc::clone(&store));
            let node = Node::built(chaos, |builder| match compression {
                Some(compression) => builder.compress(compression),
                None => builder,
            });
            ran(&order(&node).await);
            let stored = stored(&store, call(&node).slot).await;
            assert_eq!(is_much_smaller(&stored), is_compressed, "{compression:?}");
            assert_eq!(stored == answer(), !is_compressed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_version_reads_what_was_compressed() {
        let call = call(&plain_node(&Arc::default()));
        let store = with_record(&call, Bytes::from_static(COMPRESSED)).await;
        let outcome = plain_node(&store).pay("k").await;
        assert_eq!(replayed(&outcome).record, vec![b'a'; 40]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_expand_is_no_answer_and_nothing_runs() {
        let call = call(&plain_node(&Arc::default()));
        let mut lying = COMPRESSED.to_vec();
        lying[6] = 41;
        lying.truncate(lying.len() - 4);
        lying.extend(crc32fast::hash(&lying).to_le_bytes());
        let mut broken = COMPRESSED.to_vec();
        broken[9] ^= 1;
        for (record, error) in [
            (lying, RecordError::Malformed),
            (broken, RecordError::BadChecksum),
            (COMPRESSED[..9].to_vec(), RecordError::BadChecksum),
        ] {
            let store = with_record(&call, record.into()).await;
            for node in [plain_node(&store), node(&store)] {
                assert_eq!(never_runs(&node).await, Unopened::Malformed(error));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_here_and_elsewhere_get_what_it_was() {
        let store = Arc::<MemoryStore>::default();
        let waiting = Overrides {
            wait: Some(Duration::from_secs(60)),
            ..Overrides::NONE
        };
        let [node, elsewhere] = [node(&store), plain_node(&store)].map(|node| node.with(waiting));
        let first = tokio::spawn(order_after(&node, sleep(LAPSE)));
        sleep(Duration::from_millis(1)).await;
        let (here, there) = tokio::join!(order(&node), order(&elsewhere));
        assert_eq!(replayed(&here).record, answer());
        assert_eq!(replayed(&there).record, answer());
        ran(&first.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_s_result_is_compressed() {
        let store = Arc::<MemoryStore>::default();
        let runtime = Runtime::builder(Arc::clone(&store)).compress(always());
        let runtime = runtime.build().unwrap();
        for replay in [false, true] {
            let work = || async { Ok::<_, Infallible>(answer()) };
            let done = runtime.once("send", &Scope::GLOBAL, "k", &5, work).await;
            let done = done.unwrap();
            assert_eq!((done.replayed, done.value), (replay, answer()));
        }
        let slots = runtime.list(idem_core::ListQuery {
            state: None,
            after: None,
            limit: 10,
        });
        let slot = slots.await.unwrap().slots[0].slot;
        assert!(is_much_smaller(&stored(&store, slot).await));
    }

    /// Makes a long result in a step, and then fails or not.
    async fn in_steps(node: &Node, fails: bool) -> Outcome {
        let work = move |steps: Steps| async move {
            let attempt = steps.attempt();
            let long = || async move { Ok::<_, Infallible>(format!("{attempt}: {}", answer())) };
            let answer = match steps.run("charge", long).await {
                Ok(charged) => charged,
                Err(StepError::Steps(error)) => error.to_string(),
                Err(StepError::Work(never)) => match never {},
            };
            match fails {
                true => Finish::Release { answer },
                false => Finish::Record {
                    record: Bytes::from(answer.clone()),
                    answer,
                },
            }
        };
        node.runtime.execute_in_steps(call(node), work).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_s_result_is_stored_compressed_and_handed_to_the_next_attempt() {
        let store = Arc::<MemoryStore>::default();
        let first = node(&store);
        ran(&in_steps(&first, true).await);
        let call = call(&first);
        let (grant, steps) = owned(&store, call.slot, call.fingerprint).await;
        assert!(is_much_smaller(&steps[0].value));
        let released = store.release(grant, TTL).await.unwrap();
        assert_eq!(released, Written::Done);
        let next = in_steps(&plain_node(&store), false).await;
        let (answer, attempt, stored) = ran(&next);
        assert_eq!((attempt, stored), (3, Stored::Recorded));
        assert_eq!(answer, format!("1: {}", self::answer()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_completion_whose_reply_is_lost_is_the_same_completion() {
        for fault in crate::common::AMBIGUOUS {
            let store = Arc::<MemoryStore>::default();
            let node = node(&store);
            node.store.plan().next(Verb::Complete, fault);
            let outcome = order(&node).await;
            assert_eq!(
                ran(&outcome),
                (&*answer(), 1, Stored::Recorded),
                "{fault:?}"
            );
            assert_eq!(replayed(&order(&node).await).record, answer());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_sees_it_expanded_and_what_they_record_is_compressed() {
        let store = Arc::<MemoryStore>::default();
        let node = node(&store);
        let call = call(&node);
        owned(&store, call.slot, call.fingerprint).await;
        sleep(LAPSE).await;
        let complete = Resolution::Complete {
            record: Bytes::from(answer()),
            retention: RETENTION,
        };
        let resolved = node
            .runtime
            .resolve(call.slot, Fence::FIRST, "ana", complete);
        assert_eq!(resolved.await.unwrap(), Resolved::Done);
        // That takes no look at the slot.
        assert_eq!(node.store.plan().calls(Verb::Inspect), 0);
        assert!(is_much_smaller(&stored(&store, call.slot).await));
        let seen = plain_node(&store).runtime.inspect_sealed(call.slot).await;
        let seen = seen.unwrap().unwrap();
        assert_eq!(seen.seal, Seal::None);
        match seen.view.state {
            SlotState::Completed { record, .. } => assert_eq!(record, answer()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_scope_may_store_is_counted_plain() {
        let limits = |stored_bytes| Limits {
            stored_bytes: Some(stored_bytes),
            ..Limits::NONE
        };
        let plain = SLOT_BYTES + answer().len() as u64;
        for (budget, is_spent) in [(plain, true), (plain + 1, false)] {
            let node = Node::built(ChaosStore::new(Arc::default()), |builder| {
                builder.compress(always()).limits(limits(budget))
            });
            ran(&order(&node).await);
            let next = node.pay("another").await;
            let limited = Limit::StoredBytes;
            assert_eq!(
                matches!(next, Execution::Limited { limit, .. } if limit == limited),
                is_spent,
                "{next:?}"
            );
        }
    }

    #[cfg(feature = "encryption")]
    #[tokio::test(start_paused = true)]
    async fn it_is_compressed_and_then_sealed_and_opens_with_the_key_alone() {
        use idem_core::encryption::{Key, Keyring};

        let keys = || Keyring::new(Key::new("k", &[7; 32]).unwrap());
        let store = Arc::<MemoryStore>::default();
        let over = |build: fn(idem_core::RuntimeBuilder) -> idem_core::RuntimeBuilder| {
            let store = ChaosStore::new(Arc::clone(&store));
            Node::built(store, |builder| build(builder).encryption(keys()))
        };
        let both = over(|builder| builder.compress(always()));
        ran(&in_steps(&both, true).await);
        let call = call(&both);
        let (grant, steps) = owned(&store, call.slot, call.fingerprint).await;
        let is_sealed_and_small = |stored: &Bytes| {
            stored.starts_with(b"idem\x01\x03") && stored.len() < answer().len() / 20
        };
        assert!(is_sealed_and_small(&steps[0].value));
        let released = store.release(grant, TTL).await.unwrap();
        assert_eq!(released, Written::Done);

        let answer = format!("1: {}", answer());
        assert_eq!(ran(&in_steps(&both, false).await).0, answer);
        assert!(is_sealed_and_small(&stored(&store, call.slot).await));
        for node in [both, over(|builder| builder)] {
            assert_eq!(replayed(&order(&node).await).record, answer);
        }
        let keyless = never_runs(&self::node(&store)).await;
        assert!(matches!(keyless, Unopened::NoKeyring { .. }), "{keyless:?}");

        // What is compressed and not sealed is not sealed.
        let unsealed = with_record(&call, Bytes::from_static(COMPRESSED)).await;
        let strict = Node::built(ChaosStore::new(Arc::clone(&unsealed)), |builder| {
            builder.encryption(keys())
        });
        assert_eq!(never_runs(&strict).await, Unopened::NotSealed);
        let moving = Node::built(ChaosStore::new(unsealed), |builder| {
            builder.encryption(keys().reads_unsealed())
        });
        assert_eq!(replayed(&moving.pay("k").await).record, vec![b'a'; 40]);
    }
}
