//! The invariants of the protocol, each by its name. What a store alone has to
//! keep of them is in `conformance.rs`, which runs the suite that defines a store.
#![cfg(feature = "testing")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use common::{AMBIGUOUS, GRACE, LAPSE, LEASE, Node, PATIENCE, TTL, in_progress, ran, replayed};
use futures_util::future::join_all;
use idem_core::{
    Claim, ClaimRequest, Drained, Execution, FingerprintBuilder, Finish, Grant, IdempotencyKey,
    MemoryStore, OnCrash, Operation, OwnerId, Runtime, Scope, SlotState, Store, StoreError, Stored,
    Written,
    testing::{ChaosStore, Fault, Verb},
};
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

/// Counts who is at work at the same time.
#[derive(Default)]
struct Gate {
    inside: AtomicUsize,
    most: AtomicUsize,
    entered: AtomicUsize,
}

impl Gate {
    async fn pass(self: Arc<Self>, time: Duration) {
        self.entered.fetch_add(1, SeqCst);
        let inside = self.inside.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(inside, SeqCst);
        sleep(time).await;
        self.inside.fetch_sub(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i1_at_most_one_owner_is_at_work() {
    let node = Node::new();
    let nodes: Vec<_> = (0..4).map(|_| node.peer()).collect();
    let gates: Vec<_> = (0..16).map(|_| Arc::<Gate>::default()).collect();
    // 4 nodes, 16 keys, and of each 12 duplicates that come at once.
    let calls = (0..12).flat_map(|_| &nodes).flat_map(|node| {
        gates.iter().enumerate().map(|(key, gate)| {
            let call = node.call("ana", &format!("k{key}"), "5");
            let work = node.pay_before(call, Arc::clone(gate).pass(5 * MS));
            tokio::spawn(work)
        })
    });
    let outcomes = join_all(calls.collect::<Vec<_>>()).await;
    let ran = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Execution::Ran { .. })));
    assert_eq!(ran.count(), gates.len());
    for gate in gates {
        assert_eq!(gate.most.load(SeqCst), 1);
        assert_eq!(gate.entered.load(SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn i1_a_bad_network_does_not_make_a_second_owner() {
    for seed in 0..200 {
        let node = Node::new();
        let nodes: Vec<_> = (0..3).map(|_| node.peer()).collect();
        for (index, node) in nodes.iter().enumerate() {
            let plan = node.store.plan();
            plan.seed(seed * 3 + index as u64, idem_core::testing::Odds::default());
            // Without renewals a lease would lapse, and then a second owner is right.
            plan.spare(Verb::Renew, usize::from(u16::MAX));
        }
        let gate = Arc::<Gate>::default();
        let calls = (0..30).map(|index| {
            let node = &nodes[index % nodes.len()];
            let call = node.call("ana", "k", "5");
            let pause = sleep(Duration::from_millis(37 * index as u64));
            let work = node.pay_before(call, Arc::clone(&gate).pass(2 * LEASE));
            async move {
                pause.await;
                work.await
            }
        });
        join_all(calls).await;
        assert_eq!(gate.most.load(SeqCst), 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn i2_a_write_with_an_old_fence_changes_nothing() {
    let node = Node::new();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let stale = [
        tokio::spawn(node.pay_slowly("k", 2 * LAPSE)),
        tokio::spawn({
            let call = node.call("ana", "l", "5");
            node.runtime.execute(call, async {
                sleep(2 * LAPSE).await;
                let answer = String::from("failed");
                Finish::Release { answer }
            })
        }),
    ];
    sleep(LAPSE).await;
    let peer = node.peer();
    assert_eq!(ran(&peer.pay("k").await).1, 2);
    let newer = tokio::spawn(peer.pay_slowly("l", 3 * LAPSE));
    for stale in stale {
        stale.await.unwrap();
    }
    // The stale completion has not replaced the record,
    assert_eq!(replayed(&peer.pay("k").await).record, "effect 2");
    // and the stale release has not taken the slot from the owner at work.
    in_progress(&peer.pay("l").await);
    assert_eq!(ran(&newer.await.unwrap()).2, Stored::Recorded);
}

#[tokio::test(start_paused = true)]
async fn i3_a_record_is_the_same_bytes_for_every_reader_until_it_is_deleted() {
    let node = Node::new();
    let all: Bytes = (0..=u8::MAX)
        .cycle()
        .take(10_000)
        .collect::<Vec<u8>>()
        .into();
    let record = all.clone();
    let work = async move {
        Finish::Record {
            answer: String::new(),
            record,
        }
    };
    let call = node.call("ana", "k", "5");
    let first = node.runtime.execute(call.clone(), work).await;
    assert_eq!(ran(&first).2, Stored::Recorded);
    let readers = [node.clone(), node.peer(), node.peer()];
    let end = Instant::now() + TTL + GRACE;
    let mut reads = 0;
    while Instant::now() + Duration::from_secs(1) < end {
        for reader in &readers {
            // Whatever else is tried under the key: another answer, another payload, a panic.
            reader.fail("k").await;
            reader.panic("k").await;
            let other = reader.call("ana", "k", "6");
            reader.pay_after(other, async {}).await;
            assert_eq!(replayed(&reader.pay("k").await).record, all);
            reads += 1;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(reads > 300);
    assert_eq!(node.effects(), 0);
}

#[tokio::test(start_paused = true)]
async fn i3_not_even_its_own_owner_replaces_a_record() {
    let node = Node::new();
    let call = node.call("ana", "k", "5");
    let request = ClaimRequest {
        slot: call.slot,
        fingerprint: call.fingerprint,
        owner: OwnerId::random(),
        lease: LEASE,
        retention: call.settings.retention(),
        on_crash: OnCrash::TakeOver,
        alias: None,
    };
    let Claim::Claimed(claimed) = node.store.claim(request).await.unwrap() else {
        panic!("the slot is new");
    };
    let grant = Grant {
        slot: call.slot,
        owner: request.owner,
        fence: claimed.fence,
    };
    for record in ["first", "second", ""] {
        let record = Bytes::from(record);
        let written = node.store.complete(grant, record, request.retention).await;
        assert_eq!(written.unwrap(), Written::Done);
        assert_eq!(replayed(&node.pay("k").await).record, "first");
    }
}

#[tokio::test(start_paused = true)]
async fn i4_work_with_a_record_does_not_run_again_before_the_record_is_deleted() {
    let node = Node::new();
    let started = Instant::now();
    node.pay("k").await;
    while started.elapsed() < TTL + GRACE - Duration::from_secs(1) {
        let retry = node.peer().pay("k").await;
        let expired = started.elapsed() >= TTL;
        assert_eq!(replayed(&retry).expired, expired, "{:?}", started.elapsed());
        sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(node.effects(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(ran(&node.pay("k").await), ("effect 2", 1, Stored::Recorded));
}

#[tokio::test(start_paused = true)]
async fn i4_nor_does_it_while_the_store_is_away() {
    let node = Node::new();
    node.pay("k").await;
    for fault in [
        Fault::FailBefore,
        Fault::LoseCommand,
        Fault::FailAfter,
        Fault::HangBefore,
        Fault::HangAfter,
        Fault::Refuse,
        Fault::Corrupt,
    ] {
        node.store.plan().always(Verb::Claim, fault);
        let retry = node.pay("k").await;
        assert!(matches!(retry, Execution::StoreFailed(_)), "{fault:?}");
    }
    node.store.plan().clear();
    sleep(LAPSE).await;
    assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
    assert_eq!(node.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn i5_of_different_payloads_under_a_key_one_runs_and_the_others_get_nothing() {
    let node = Node::new();
    let ask = |payload: usize| {
        let call = node.call("ana", "k", &payload.to_string());
        node.runtime.execute(call, async move {
            sleep(10 * MS).await;
            let answer = format!("paid {payload}");
            let record = Bytes::from(answer.clone());
            Finish::Record { answer, record }
        })
    };
    let outcomes = join_all((0..50).map(|index| ask(index % 25))).await;
    let winner = outcomes
        .iter()
        .position(|outcome| matches!(outcome, Execution::Ran { .. }))
        .expect("one of them runs");
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Execution::Ran { .. } => assert_eq!(index, winner),
            Execution::InProgress { .. } => assert_eq!(index % 25, winner % 25),
            Execution::KeyReused => assert_ne!(index % 25, winner % 25),
            other => panic!("{index}: {other:?}"),
        }
    }
    // The same once it is recorded, and when the record has expired.
    for _ in 0..2 {
        for payload in 0..25 {
            let outcome = ask(payload).await;
            if payload == winner % 25 {
                let expected = format!("paid {payload}");
                assert_eq!(replayed(&outcome).record, expected);
            } else {
                assert!(matches!(outcome, Execution::KeyReused), "{outcome:?}");
            }
        }
        sleep(TTL + MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn i5_a_key_that_was_given_back_or_fell_silent_still_belongs_to_its_payload() {
    let node = Node::new();
    node.fail("released").await;
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let silent = tokio::spawn(node.pay_slowly("silent", 10 * LAPSE));
    sleep(LAPSE).await;
    for key in ["released", "silent"] {
        let other = node.pay_after(node.call("ana", key, "6"), async {}).await;
        assert!(matches!(other, Execution::KeyReused), "{key}: {other:?}");
    }
    silent.abort();
}

#[tokio::test(start_paused = true)]
async fn i5_a_stale_owner_is_not_given_the_record_of_another_payload() {
    let node = Node::new();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let forgotten = TTL + GRACE + LAPSE;
    let stale = tokio::spawn(node.pay_slowly("k", forgotten + LAPSE));
    sleep(forgotten).await;
    let call = node.call("ana", "k", "6");
    let other = node.peer().pay_after(call, async {}).await;
    assert_eq!(ran(&other), ("effect 2", 1, Stored::Recorded));
    assert_eq!(ran(&stale.await.unwrap()), ("effect 1", 1, Stored::Lost));
}

#[tokio::test(start_paused = true)]
async fn i6_another_scope_neither_sees_nor_waits_nor_learns() {
    let node = Node::new();
    let slow = tokio::spawn(node.pay_slowly("k", 10 * LEASE));
    sleep(MS).await;
    // Ana is at work: Bob with her very key and payload is not in progress,
    let bob = node.pay_after(node.call("bob", "k", "5"), async {}).await;
    assert_eq!(ran(&bob), ("effect 2", 1, Stored::Recorded));
    // and with another payload he is not told that the key is in use.
    let carl = node.pay_after(node.call("carl", "k", "6"), async {}).await;
    assert_eq!(ran(&carl), ("effect 3", 1, Stored::Recorded));
    assert_eq!(ran(&slow.await.unwrap()).0, "effect 1");
    let bob = node.pay_after(node.call("bob", "k", "5"), async {}).await;
    assert_eq!(replayed(&bob).record, "effect 2");
}

#[tokio::test(start_paused = true)]
async fn i6_neither_does_another_operation_namespace_or_secret() {
    let store = Arc::new(MemoryStore::new());
    let builder = || Runtime::builder(Arc::clone(&store));
    let runtimes = [
        builder().build().unwrap(),
        builder().namespace("other").build().unwrap(),
        builder().secret("one").build().unwrap(),
        builder().secret("two").build().unwrap(),
    ];
    let ana = Scope::new("user", "ana").unwrap();
    let tenant = Scope::new("tenant", "ana").unwrap();
    for runtime in &runtimes {
        for operation in ["pay", "refund"] {
            for scope in [&ana, &tenant] {
                let work = || async { Ok::<_, std::io::Error>(()) };
                let done = runtime.once(operation, scope, "k", &5, work).await;
                assert!(!done.unwrap().replayed);
            }
        }
    }
    assert_eq!(store.slots(), 4 * 2 * 2);
}

// I7 is `cancellation.rs`; these are its two ends.

#[tokio::test(start_paused = true)]
async fn i7_a_client_that_goes_neither_loses_the_record_nor_runs_it_twice() {
    for time in [1, 100, 499, 501, 700] {
        let node = Node::new();
        let slow = Fault::DelayAfter(Duration::from_millis(250));
        node.store.plan().next(Verb::Claim, slow);
        node.store.plan().next(Verb::Complete, slow);
        let call = node.pay_slowly("k", 500 * MS);
        assert!(timeout(time * MS, call).await.is_err());
        let retry = node.pay_until_answered("k").await;
        assert_eq!(replayed(&retry).record, "effect 1", "{time} ms");
        assert_eq!(node.effects(), 1, "{time} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn i8_a_lost_reply_is_as_if_it_had_not_been_lost() {
    let verbs = [Verb::Claim, Verb::Renew, Verb::Complete, Verb::Release];
    for verb in verbs {
        for fault in AMBIGUOUS {
            let node = Node::new();
            node.store.plan().next(verb, fault);
            if verb == Verb::Release {
                let failed = node.fail("k").await;
                assert_eq!(ran(&failed), ("failed", 1, Stored::Released));
                let retry = node.pay("k").await;
                assert_eq!(ran(&retry), ("effect 2", 2, Stored::Recorded), "{fault:?}");
                continue;
            }
            let first = tokio::spawn(node.pay_slowly("k", 2 * LEASE)).await;
            let first = first.unwrap();
            assert_eq!(
                ran(&first),
                ("effect 1", 1, Stored::Recorded),
                "{verb:?} {fault:?}"
            );
            assert_eq!(replayed(&node.pay("k").await).record, "effect 1");
            let view = node.store.inner().inspect(node.call("ana", "k", "5").slot);
            let view = view.await.unwrap().expect("it is recorded");
            assert_eq!(
                (view.attempt, view.fence.get()),
                (1, 1),
                "{verb:?} {fault:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn i9_nothing_hangs_when_the_store_does() {
    for after in [false, true] {
        let node = Node::new();
        let fault = if after {
            Fault::HangAfter
        } else {
            Fault::HangBefore
        };
        node.pay("recorded").await;
        for verb in [Verb::Renew, Verb::Complete, Verb::Release, Verb::Inspect] {
            node.store.plan().always(verb, fault);
        }
        let deadline = Duration::from_secs(5);
        let outcome = timeout(deadline, node.pay("k")).await;
        assert_eq!(ran(&outcome.expect("completing hangs")).2, Stored::Pending);
        let outcome = timeout(deadline, node.fail("l")).await;
        ran(&outcome.expect("releasing hangs"));
        let outcome = timeout(deadline, node.panic("m")).await;
        assert!(matches!(outcome, Ok(Execution::Panicked)));
        node.store.plan().always(Verb::Claim, fault);
        for key in ["recorded", "new"] {
            let outcome = timeout(deadline, node.pay(key)).await;
            assert!(matches!(outcome, Ok(Execution::StoreFailed(_))), "{key}");
        }
        let started = Instant::now();
        let _ = node.runtime.drain(deadline).await;
        assert!(started.elapsed() <= deadline + MS);
    }
}

#[tokio::test(start_paused = true)]
async fn i9_a_fenced_owner_does_not_hang_when_it_asks_for_the_newer_answer() {
    let node = Node::new();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let stale = tokio::spawn(node.pay_slowly("k", 2 * LAPSE));
    sleep(LAPSE).await;
    node.peer().pay("k").await;
    node.store.plan().always(Verb::Inspect, Fault::HangBefore);
    let outcome = timeout(PATIENCE, stale).await.expect("it hangs");
    in_progress(&outcome.unwrap());
}

#[tokio::test(start_paused = true)]
async fn i9_nothing_is_left_of_ten_thousand_calls_but_their_records() {
    let node = Node::new();
    let odds = idem_core::testing::Odds::default();
    node.store.plan().seed(9, odds);
    for round in 0..100 {
        let calls = (0..100).map(|index| {
            let node = node.clone();
            async move {
                let key = format!("k{}", round * 25 + index % 25);
                let call = async {
                    match index % 4 {
                        0 => node.fail(&key).await,
                        1 => node.panic(&key).await,
                        _ => node.pay_slowly(&key, 5 * MS).await,
                    }
                };
                // Every third client goes early.
                let patience = if index % 3 == 0 { 2 * MS } else { PATIENCE };
                let _ = timeout(patience, call).await;
            }
        });
        join_all(calls).await;
    }
    node.store.plan().clear();
    assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
    assert!(format!("{:?}", node.runtime).contains("in_flight: 0"));
    sleep(TTL + GRACE + LEASE + LAPSE).await;
    // A claim that finds the store full deletes everything that is due; a few
    // verbs per shard do as well.
    for key in 0..2_000 {
        node.pay(&format!("new{key}")).await;
    }
    let slots = node.store.inner().slots();
    assert!(slots <= 2_000, "{slots}");
}

#[tokio::test(start_paused = true)]
async fn i9_bytes_that_are_no_record_are_an_error_and_nothing_runs() {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::builder(Arc::clone(&store)).build().unwrap();
    let operation = Operation::new("mail");
    let mut fingerprint = FingerprintBuilder::new();
    fingerprint.typed(&5).unwrap();
    let key = IdempotencyKey::new("k").unwrap();
    let asked = fingerprint.finish();
    let call = runtime.call(operation, &Scope::GLOBAL, &key, asked, runtime.settings());
    let garbage = async {
        Finish::Record {
            answer: (),
            record: Bytes::from_static(b"idem\x07what is this"),
        }
    };
    let _ = runtime.execute(call, garbage).await;
    let gate = Arc::<Gate>::default();
    let count = Arc::clone(&gate);
    let work = || async {
        count.pass(MS).await;
        Ok::<_, std::io::Error>(7)
    };
    let read = runtime.once("mail", &Scope::GLOBAL, "k", &5, work).await;
    let error = read.unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    assert_eq!(gate.entered.load(SeqCst), 0);
}

/// Everything at once: three nodes on bad networks, clients that hang up,
/// retry, send other payloads; work that is slow, fails, panics. Leases lapse.
/// In the end, of every key: all who were given a recorded answer were given
/// the same one, and it is the one that is in the store.
#[tokio::test(start_paused = true)]
async fn i3_i4_i5_in_a_storm_every_answer_of_a_key_is_the_recorded_one() {
    const KEYS: usize = 4;
    let mut faults = 0;
    for seed in 0..150u64 {
        let root = Node::new();
        let nodes: Vec<_> = (0..3).map(|_| root.peer()).collect();
        for (index, node) in nodes.iter().enumerate() {
            let odds = idem_core::testing::Odds {
                percent: 30,
                longest_delay: LAPSE,
                hang: true,
            };
            node.store.plan().seed(seed * 3 + index as u64, odds);
        }
        let calls = (0..60usize).map(|index| {
            let node = nodes[index % nodes.len()].clone();
            let key = index % KEYS;
            async move {
                sleep(Duration::from_millis(
                    (index as u64 * 7919 * (seed + 1)) % 9_000,
                ))
                .await;
                let name = format!("k{key}");
                let call = async {
                    match index % 11 {
                        0 => node.fail(&name).await,
                        1 => node.panic(&name).await,
                        2 => node.pay_after(node.call("ana", &name, "6"), async {}).await,
                        3 | 4 => node.pay_slowly(&name, 2 * LAPSE).await,
                        _ => node.pay(&name).await,
                    }
                };
                let patience = if index % 5 == 0 { 300 * MS } else { PATIENCE };
                let outcome = timeout(patience, call).await.ok();
                (key, index % 11 == 2, outcome)
            }
        });
        let outcomes = join_all(calls).await;
        for node in &nodes {
            faults += node.store.plan().faults();
            node.store.plan().clear();
            assert_eq!(node.runtime.drain(PATIENCE).await, Drained::Clean);
        }
        for key in 0..KEYS {
            let slot = root.call("ana", &format!("k{key}"), "5").slot;
            let view = root.store.inner().inspect(slot).await.unwrap();
            let recorded = view.and_then(|view| match view.state {
                SlotState::Completed { record, .. } => Some((view.fingerprint, record)),
                _ => None,
            });
            let five = root.call("ana", "k", "5").fingerprint;
            for (_, is_other, outcome) in outcomes.iter().filter(|(of, ..)| *of == key) {
                let given = match outcome {
                    Some(Execution::Ran {
                        answer,
                        stored: Stored::Recorded,
                        ..
                    }) => Bytes::from(answer.clone()),
                    Some(Execution::Replayed(replay)) => replay.record.clone(),
                    _ => continue,
                };
                let (fingerprint, record) = recorded
                    .as_ref()
                    .unwrap_or_else(|| panic!("seed {seed}: the record of k{key} is gone"));
                assert_eq!(&given, record, "seed {seed}, k{key}");
                assert_eq!(*is_other, *fingerprint != five, "seed {seed}, k{key}");
            }
        }
    }
    assert!(faults > 2_000, "there were only {faults} faults");
}

/// An operator's decision is one more writer, and not above the fence.
#[tokio::test(start_paused = true)]
async fn i2_an_owner_that_was_resolved_by_an_operator_is_fenced() {
    let node = Node::new();
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let silent = tokio::spawn(node.pay_slowly("k", 2 * LAPSE));
    sleep(LAPSE).await;
    let slot = node.call("ana", "k", "5").slot;
    let view = node.store.inspect(slot).await.unwrap().unwrap();
    let decision = idem_core::Resolution::Complete {
        record: Bytes::from("it happened"),
        retention: node.runtime.settings().retention(),
    };
    let resolved = node
        .store
        .resolve(slot, view.fence, OwnerId::random(), decision)
        .await;
    assert_eq!(resolved.unwrap(), idem_core::Resolved::Done);
    assert_eq!(replayed(&silent.await.unwrap()).record, "it happened");
}

/// A store that is refused for good is not asked in a loop.
#[tokio::test(start_paused = true)]
async fn i9_an_unreachable_store_is_asked_in_growing_pauses() {
    let store = ChaosStore::new(Arc::new(MemoryStore::new()));
    let node = Node::over(store);
    node.store.plan().always(Verb::Claim, Fault::FailBefore);
    let refused = node.pay("k").await;
    assert!(matches!(
        refused,
        Execution::StoreFailed(StoreError::Unreachable(_))
    ));
    let asked = node.store.plan().calls(Verb::Claim);
    assert!((5..40).contains(&asked), "asked {asked} times in 2 s");
}
