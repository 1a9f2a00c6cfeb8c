//! What is stored is sealed; what does not open is never replayed, and nothing runs in
//! its place.
#![cfg(all(feature = "encryption", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use common::{
    LAPSE, LEASE, Node, Outcome, TTL,
    kept::{RETENTION, failing_open, never_runs, owned, stored, unopened, with_record},
    log::Log,
    ran, replayed,
};
use idem_core::{
    Call, Checkpoint, Fence, Finish, Inspected, MemoryStore, OnceError, Overrides, Resolution,
    Resolved, Runtime, RuntimeBuilder, Scope, Seal, Slot, SlotState, StepError, Steps, Store,
    StoreError, Stored, Written,
    encryption::{Key, Keyring, Unopened},
    record::Record,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::time::sleep;

fn key(id: &str) -> Key {
    // Another key for another name.
    let mut bytes = [0x5a; 32];
    for (place, byte) in bytes.iter_mut().zip(id.bytes()) {
        *place ^= byte;
    }
    Key::new(id, &bytes).unwrap()
}

fn only(id: &str) -> Keyring {
    Keyring::new(key(id))
}

fn rotated() -> Keyring {
    only("new").also_reads(key("old")).unwrap()
}

/// A node over the store; its effects are its own.
fn node(store: &Arc<MemoryStore>, keys: Option<Keyring>) -> Node {
    let store = ChaosStore::new(Arc::clone(store));
    Node::built(store, |builder| match keys {
        Some(keys) => builder.encryption(keys),
        None => builder,
    })
}

fn call(node: &Node) -> Call {
    node.call("ana", "k", "5")
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_stored_sealed_and_replayed_open() {
    let store = Arc::<MemoryStore>::default();
    let node = node(&store, Some(only("new")));
    assert_eq!(ran(&node.pay("k").await).0, "effect 1");
    let kept = stored(&store, call(&node).slot).await;
    assert!(!contains(&kept, "effect") && contains(&kept, "new"));
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    assert_eq!(node.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_get_the_answer_open() {
    let store = Arc::<MemoryStore>::default();
    let node = node(&store, Some(only("new"))).with(Overrides {
        wait: Some(LEASE),
        ..Overrides::NONE
    });
    let first = tokio::spawn(node.pay_slowly("k", LEASE / 2));
    tokio::task::yield_now().await;
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    ran(&first.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_old_key_opens_until_it_is_dropped_and_then_nothing_runs() {
    let store = Arc::<MemoryStore>::default();
    node(&store, Some(only("old"))).pay("k").await;
    let after = node(&store, Some(rotated()));
    assert_eq!(replayed(&after.pay("k").await).record, "effect 1");
    after.pay("fresh").await;
    let fresh = stored(&store, after.call("ana", "fresh", "5").slot).await;
    assert!(contains(&fresh, "new"));

    let (old, new) = ("old".parse().unwrap(), "new".parse().unwrap());
    let dropped = node(&store, Some(only("new")));
    let reason = never_runs(&dropped).await;
    assert_eq!(reason, Unopened::UnknownKey { key: old });
    let without = node(&store, None);
    let reason = never_runs(&without).await;
    assert_eq!(reason, Unopened::NoKeyring { key: old });
    let fresh = without.pay("fresh").await;
    assert_eq!(unopened(&fresh).1, Unopened::NoKeyring { key: new });
}

#[tokio::test(start_paused = true)]
async fn what_was_altered_or_moved_or_never_sealed_is_no_answer_and_nothing_runs() {
    let origin = Arc::<MemoryStore>::default();
    let first = node(&origin, Some(only("new")));
    let call = call(&first);
    let sealed_for = async |user: &str, key: &str, payload: &str| {
        let other = first.call(user, key, payload);
        let slot = other.slot;
        ran(&first.pay_after(other, async {}).await);
        stored(&origin, slot).await
    };
    let own = sealed_for("ana", "k", "5").await;
    let altered = {
        let mut bytes = own.to_vec();
        let end = bytes.len() - 4;
        bytes[end - 20] ^= 1;
        bytes.truncate(end);
        // Whoever alters it makes its checksum right again.
        bytes.extend(crc32(&bytes).to_le_bytes());
        Bytes::from(bytes)
    };
    let elsewhere = Arc::<MemoryStore>::default();
    let other_payload = {
        let node = node(&elsewhere, Some(only("new")));
        let call = node.call("ana", "k", "6");
        ran(&node.pay_after(call, async {}).await);
        stored(&elsewhere, call_slot(&node)).await
    };
    let impostor = {
        let elsewhere = Arc::<MemoryStore>::default();
        let keys = Keyring::new(Key::new("new", &[1; 32]).unwrap());
        node(&elsewhere, Some(keys)).pay("k").await;
        stored(&elsewhere, call.slot).await
    };
    let key = "new".parse().unwrap();
    let is_altered = Unopened::Altered { key };
    for (what, record, reason) in [
        ("altered", altered, is_altered),
        (
            "another user's",
            sealed_for("bob", "k", "5").await,
            is_altered,
        ),
        (
            "another key's",
            sealed_for("ana", "k2", "5").await,
            is_altered,
        ),
        ("another payload's", other_payload, is_altered),
        ("by another key", impostor, is_altered),
        (
            "plain",
            Record::Value("1".into()).encode(),
            Unopened::NotSealed,
        ),
        ("anything", "something".into(), Unopened::NotSealed),
        ("nothing", Bytes::new(), Unopened::NotSealed),
    ] {
        let store = with_record(&call, record).await;
        let node = node(&store, Some(only("new")));
        assert_eq!(never_runs(&node).await, reason, "{what}");
    }
    for end in 0..own.len() {
        let store = with_record(&call, own.slice(..end)).await;
        never_runs(&node(&store, Some(only("new")))).await;
    }
    // It is the record and nothing else that was wrong.
    let store = with_record(&call, own).await;
    let node = node(&store, Some(only("new")));
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
}

fn call_slot(node: &Node) -> Slot {
    call(node).slot
}

/// CRC-32 as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_before_there_were_keys_is_read_if_that_is_said() {
    let store = Arc::<MemoryStore>::default();
    node(&store, None).pay("k").await;
    let reason = never_runs(&node(&store, Some(only("new")))).await;
    assert_eq!(reason, Unopened::NotSealed);
    let moving = node(&store, Some(only("new").reads_unsealed()));
    assert_eq!(replayed(&moving.pay("k").await).record, "effect 1");
    moving.pay("fresh").await;
    let sealed = stored(&store, moving.call("ana", "fresh", "5").slot).await;
    assert!(!contains(&sealed, "effect"));
}

#[tokio::test(start_paused = true)]
async fn a_job_s_result_is_sealed_and_an_altered_one_is_an_error_that_stays() {
    let store = Arc::<MemoryStore>::default();
    let runtime = Runtime::builder(Arc::clone(&store));
    let runtime = runtime.encryption(only("new")).build().unwrap();
    let job = async |runtime: &Runtime| {
        let work = || async { Ok::<_, Infallible>("mail-17".to_owned()) };
        runtime.once("send", &Scope::GLOBAL, "k", &1, work).await
    };
    assert!(!job(&runtime).await.unwrap().replayed);
    let again = job(&runtime).await.unwrap();
    assert!(again.replayed && again.value == "mail-17");
    let slot = store.list(all()).await.unwrap().slots[0].slot;
    assert!(!contains(&stored(&store, slot).await, "mail"));

    let plain = Runtime::builder(store).build().unwrap();
    let error = job(&plain).await.unwrap_err();
    assert!(matches!(
        &error,
        OnceError::Store(StoreError::Unopened { .. })
    ));
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn what_was_sealed_under_a_slot_of_the_old_secret_opens_while_the_secret_is_rotated() {
    let store = Arc::<MemoryStore>::default();
    let node = |build: fn(RuntimeBuilder) -> RuntimeBuilder| {
        let builder = Runtime::builder(Arc::clone(&store)).encryption(only("new"));
        build(builder).build().unwrap()
    };
    let job = async |runtime: &Runtime, key: &str, fails: bool| {
        let work = move |steps: Steps| async move {
            let attempt = steps.attempt();
            let first = steps.run("first", || async { Ok::<_, Infallible>(attempt) });
            match fails {
                true => first.await.map(|_| Err(())),
                false => first.await.map(Ok),
            }
            .map_err(|_| ())?
        };
        let settings = &Overrides::NONE;
        runtime
            .once_in_steps(settings, "send", &Scope::GLOBAL, key, &1, work)
            .await
    };
    let before = node(|builder| builder.secret("old"));
    assert_eq!(job(&before, "done", false).await.unwrap().value, 1);
    assert!(job(&before, "begun", true).await.is_err());

    let after = node(|builder| builder.secret("new").accept_secret("old"));
    let done = job(&after, "done", false).await.unwrap();
    assert!(done.replayed && done.value == 1);
    // The step of the first attempt is handed over, and the record is sealed where it stands.
    assert_eq!(job(&after, "begun", false).await.unwrap().value, 1);
    let begun = job(&before, "begun", false).await.unwrap();
    assert!(begun.replayed && begun.value == 1);
}

fn all() -> idem_core::ListQuery {
    idem_core::ListQuery {
        state: None,
        after: None,
        limit: 10,
    }
}

/// What has happened outside.
#[derive(Clone, Default)]
struct World {
    begun: Arc<AtomicUsize>,
    charged: Arc<AtomicUsize>,
}

impl World {
    /// Charges in a step, and then fails or not.
    async fn order(&self, node: &Node, fails: bool) -> Outcome {
        let world = self.clone();
        let work = move |steps: Steps| async move {
            world.begun.fetch_add(1, SeqCst);
            let charge = || async {
                world.charged.fetch_add(1, SeqCst);
                Ok::<_, Infallible>("charge ch_1".to_owned())
            };
            let answer = match steps.run("charge", charge).await {
                Ok(charge) => charge,
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

    fn seen(&self) -> (usize, usize) {
        (self.begun.load(SeqCst), self.charged.load(SeqCst))
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_s_result_is_stored_sealed_and_handed_to_the_next_attempt() {
    let store = Arc::<MemoryStore>::default();
    let world = World::default();
    let first = node(&store, Some(only("old")));
    ran(&world.order(&first, true).await);
    let next = world.order(&node(&store, Some(rotated())), false).await;
    assert_eq!(ran(&next), ("charge ch_1", 2, Stored::Recorded));
    assert_eq!(world.seen(), (2, 1));

    let store = Arc::<MemoryStore>::default();
    let first = node(&store, Some(only("old")));
    ran(&world.order(&first, true).await);
    let call = call(&first);
    let (_, steps) = owned(&store, call.slot, call.fingerprint).await;
    assert_eq!(steps[0].name, "charge");
    for text in ["ch_1", "String"] {
        assert!(!contains(&steps[0].value, text), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_a_recovery_point_that_does_not_open_nothing_of_the_work_begins() {
    let store = Arc::<MemoryStore>::default();
    let world = World::default();
    let node = node(&store, Some(only("new")));
    let call = call(&node);
    ran(&world.order(&node, true).await);
    let (grant, steps) = owned(&store, call.slot, call.fingerprint).await;
    let own = steps[0].value.clone();
    let (begun, charged) = world.seen();

    let write = async |grant, name: &str, value: &Bytes| {
        let step = Checkpoint {
            name: name.to_owned(),
            value: value.clone(),
        };
        assert_eq!(store.checkpoint(grant, step).await.unwrap(), Written::Done);
        let released = store.release(grant, TTL).await.unwrap();
        assert_eq!(released, Written::Done);
    };
    let other_slot = {
        let other = self::node(&Arc::default(), Some(only("new")));
        let inner = Arc::clone(other.store.inner());
        let call = other.call("ana", "k", "6");
        let work = |steps: Steps| async move {
            let charge = || async { Ok::<_, Infallible>("charge ch_2".to_owned()) };
            let _ = steps.run("charge", charge).await;
            Finish::Release {
                answer: String::new(),
            }
        };
        let (slot, fingerprint) = (call.slot, call.fingerprint);
        ran(&other.runtime.execute_in_steps(call, work).await);
        owned(&inner, slot, fingerprint).await.1.remove(0).value
    };
    let mut broken = own.to_vec();
    broken[40] ^= 1;
    let as_a_record = {
        let elsewhere = Arc::<MemoryStore>::default();
        self::node(&elsewhere, Some(only("new"))).pay("k").await;
        stored(&elsewhere, call.slot).await
    };
    let mut grant = grant;
    let nodes = [node.clone(), failing_open(&node)];
    for (name, value) in [
        ("charge", &Bytes::from(broken)),
        ("charge", &own.slice(..own.len() - 1)),
        ("charge", &other_slot),
        ("charge", &as_a_record),
        ("charge", &Bytes::from_static(b"\x01\x02")),
        ("charge", &Bytes::new()),
        // One more, which the work may not even ask for, and which is another step's.
        ("ship", &own),
    ] {
        write(grant, "charge", &own).await;
        grant = owned(&store, call.slot, call.fingerprint).await.0;
        write(grant, name, value).await;
        for node in &nodes {
            let outcome = world.order(node, false).await;
            assert_eq!(unopened(&outcome).0, Some(name));
            // Nor does work without steps run in its place.
            assert_eq!(unopened(&node.pay("k").await).0, Some(name));
        }
        let view = store.inspect(call.slot).await.unwrap().unwrap();
        assert_eq!(view.state, SlotState::Released);
        let found;
        (grant, found) = owned(&store, call.slot, call.fingerprint).await;
        let left = found.iter().find(|step| step.name == name);
        assert_eq!(left.map(|step| &step.value), Some(value));
    }
    assert_eq!((world.seen(), node.effects()), ((begun, charged), 0));

    // And without keys, or without the right one.
    let released = store.release(grant, TTL).await.unwrap();
    assert_eq!(released, Written::Done);
    for keys in [None, Some(only("other"))] {
        let stranger = self::node(&store, keys);
        unopened(&world.order(&stranger, false).await);
    }
    assert_eq!(world.seen(), (begun, charged));
}

#[tokio::test(start_paused = true)]
async fn put_back_as_it_was_the_work_goes_on() {
    let store = Arc::<MemoryStore>::default();
    let world = World::default();
    let node = node(&store, Some(only("new")));
    ran(&world.order(&node, true).await);
    unopened(&world.order(&self::node(&store, None), false).await);
    let next = world.order(&node, false).await;
    assert_eq!(ran(&next), ("charge ch_1", 3, Stored::Recorded));
    assert_eq!(world.seen(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_was_taken_over_from_gets_the_other_s_answer_open_or_an_error() {
    for (successor, opens) in [(only("new"), true), (only("stranger"), false)] {
        let store = Arc::<MemoryStore>::default();
        let slow = node(&store, Some(only("new")));
        slow.store.plan().always(Verb::Renew, Fault::FailBefore);
        let first = tokio::spawn(slow.pay_slowly("k", 2 * LAPSE));
        sleep(LAPSE).await;
        assert_eq!(ran(&node(&store, Some(successor)).pay("k").await).1, 2);
        let outcome = first.await.unwrap();
        match opens {
            true => assert_eq!(replayed(&outcome).record, "effect 1"),
            false => assert!(matches!(unopened(&outcome).1, Unopened::UnknownKey { .. })),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_sees_records_open_and_is_told_why_not() {
    let store = Arc::<MemoryStore>::default();
    let node = node(&store, Some(only("old")));
    node.pay("k").await;
    let slot = call(&node).slot;
    let look = async |keys| {
        let operators = self::node(&store, keys);
        let shown = operators.runtime.inspect_sealed(slot).await.unwrap();
        let Inspected { view, seal } = shown.unwrap();
        let plain = operators.runtime.inspect(slot).await.unwrap().unwrap();
        assert_eq!(plain.state, view.state);
        match view.state {
            SlotState::Completed { record, .. } => (record, seal),
            other => panic!("{other:?}"),
        }
    };
    let old = "old".parse().unwrap();
    let (record, seal) = look(Some(rotated())).await;
    assert_eq!(
        (record.as_ref(), seal),
        (&b"effect 1"[..], Seal::Opened(old))
    );
    for (keys, says) in [
        (None, "has no keys"),
        (Some(only("new")), "not in this process's keyring"),
    ] {
        let (record, seal) = look(keys).await;
        assert_eq!(record, stored(&store, slot).await);
        let Seal::Unopened(error) = seal else {
            panic!("{seal:?}");
        };
        assert_eq!(error.key(), Some(&old));
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("\"old\""), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_records_is_sealed_for_the_slot_s_nodes() {
    let store = Arc::<MemoryStore>::default();
    let node = node(&store, Some(only("old")));
    let call = call(&node);
    owned(&store, call.slot, call.fingerprint).await;
    sleep(LAPSE).await;
    let complete = Resolution::Complete {
        record: Bytes::from_static(b"by hand"),
        retention: RETENTION,
    };
    let operators = self::node(&store, Some(rotated()));
    let resolve = async |slot, fence| {
        let runtime = &operators.runtime;
        let resolved = runtime.resolve(slot, fence, "ana", complete.clone()).await;
        resolved.unwrap()
    };
    let nowhere = Slot::from_bytes([9; 32]);
    assert_eq!(resolve(nowhere, Fence::FIRST).await, Resolved::Moved);
    let other = Fence::from_raw(7);
    assert_eq!(resolve(call.slot, other).await, Resolved::Moved);
    assert_eq!(resolve(call.slot, Fence::FIRST).await, Resolved::Done);
    assert!(!contains(&stored(&store, call.slot).await, "by hand"));
    let nodes = self::node(&store, Some(rotated()));
    assert_eq!(replayed(&nodes.pay("k").await).record, "by hand");
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn what_does_not_open_is_counted_and_logged_with_slot_and_key() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
    let _numbers = metrics::set_default_local_recorder(recorder);
    let log = Log::default();
    let _log = log.record(tracing::Level::ERROR);

    let store = Arc::<MemoryStore>::default();
    node(&store, Some(only("old"))).pay("k").await;
    let node = node(&store, Some(only("new")));
    node.pay("k").await;

    let text = log.text();
    let line = text.lines().find(|line| line.contains("does not open"));
    let line = line.unwrap();
    let slot = format!("slot={}", call(&node).slot.short());
    for part in ["ERROR", &slot, "key=old", "also_reads"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let mut counted = Vec::new();
    for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
        let labels = key.key().labels();
        let labels: Vec<_> = labels.map(|label| label.value().to_owned()).collect();
        if let DebugValue::Counter(count) = value {
            counted.push(format!("{} {} {count}", key.key().name(), labels.join(",")));
        }
    }
    for number in [
        "idem_unopened_total pay,unknown_key 1",
        "idem_requests_total pay,unopened 1",
    ] {
        assert!(counted.iter().any(|one| one == number), "{counted:?}");
    }
}
