//! What is told: a span for each call, numbers, and never a key or a payload.
#![cfg(all(feature = "testing", feature = "metrics"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::{LAPSE, LEASE, Node, PATIENCE, log::Log, ran};
use idem_core::{
    Execution, Limits, OnStoreError, Operation, Overrides, Refusal, ReplayCache,
    testing::{ChaosStore, Fault, Verb},
};
use metrics_util::{
    MetricKind,
    debugging::{DebugValue, DebuggingRecorder, Snapshotter},
};
use tokio::time::{Duration, sleep};

/// Numbers by `name{label=value,…}`.
struct Numbers {
    snapshotter: Snapshotter,
    _guard: metrics::LocalRecorderGuard<'static>,
}

impl Numbers {
    /// Records what this thread counts, which is everything on a
    /// current-thread runtime.
    fn record() -> Self {
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        Self {
            snapshotter: recorder.snapshotter(),
            _guard: metrics::set_default_local_recorder(recorder),
        }
    }

    /// What has changed since the last look.
    fn look(&self) -> BTreeMap<String, f64> {
        let mut numbers = BTreeMap::new();
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let (kind, key) = key.into_parts();
            let labels: Vec<_> = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.0,
                DebugValue::Histogram(values) => {
                    assert_eq!(kind, MetricKind::Histogram);
                    values.len() as f64
                }
            };
            numbers.insert(format!("{}{{{}}}", key.name(), labels.join(",")), value);
        }
        numbers
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_operation_and_outcome() {
    let numbers = Numbers::record();
    let node = Node::new();
    let slow = tokio::spawn(node.pay_slowly("slow", Duration::from_secs(1)));
    sleep(Duration::from_millis(1)).await;
    node.pay("slow").await;
    slow.await.unwrap();
    node.pay("slow").await;
    node.pay("slow").await;
    node.pay_after(node.call("ana", "slow", "6"), async {})
        .await;
    node.fail("failed").await;
    node.panic("panicked").await;
    node.runtime
        .refuse(&Operation::new("pay"), Refusal::KeyMissing);
    sleep(common::TTL).await;
    node.pay("slow").await;
    let seen = numbers.look();
    let outcomes: BTreeMap<_, _> = seen
        .iter()
        .filter_map(|(name, count)| {
            let outcome = name.strip_prefix("idem_requests_total{operation=pay,outcome=")?;
            Some((outcome.trim_end_matches('}'), *count as u32))
        })
        .collect();
    let expected = [
        ("executed", 1),
        ("in_progress", 1),
        ("key_missing", 1),
        ("key_reused", 1),
        ("panicked", 1),
        ("released", 1),
        ("replayed", 2),
        ("replayed_expired", 1),
    ];
    assert_eq!(outcomes, BTreeMap::from(expected));
    assert_eq!(seen["idem_in_flight{operation=pay}"], 0.0);
    assert_eq!(
        seen["idem_store_duration_seconds{verb=claim,result=ok}"],
        8.0
    );
    assert_eq!(
        seen["idem_store_duration_seconds{verb=complete,result=ok}"],
        1.0
    );
    assert_eq!(
        seen["idem_store_duration_seconds{verb=release,result=ok}"],
        2.0
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_a_gauge() {
    let numbers = Numbers::record();
    let node = Node::new();
    let slow: Vec<_> = (0..3)
        .map(|key| tokio::spawn(node.pay_slowly(&format!("k{key}"), LEASE)))
        .collect();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(numbers.look()["idem_in_flight{operation=pay}"], 3.0);
    // One whose client goes is in flight until its work has ended.
    slow[0].abort();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(numbers.look()["idem_in_flight{operation=pay}"], 0.0);
    let _ = node.runtime.drain(PATIENCE).await;
    assert_eq!(numbers.look()["idem_in_flight{operation=pay}"], -3.0);
}

#[tokio::test(start_paused = true)]
async fn every_night_that_one_would_rather_know_about_is_counted() {
    let numbers = Numbers::record();
    let node = Node::new();
    node.store.plan().next(Verb::Renew, Fault::Twice);
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let stale = tokio::spawn(node.pay_slowly("k", 3 * LAPSE));
    sleep(LEASE + LAPSE).await;
    assert_eq!(ran(&node.peer().pay("k").await).1, 2);
    node.store.plan().clear();
    stale.await.unwrap();
    let open = node.clone().with(Overrides {
        store_error: Some(OnStoreError::FailOpen),
        ..Overrides::NONE
    });
    node.store.plan().always(Verb::Claim, Fault::Refuse);
    assert!(matches!(open.pay("l").await, Execution::Unprotected { .. }));
    assert!(matches!(node.pay("l").await, Execution::StoreFailed(_)));
    let seen = numbers.look();
    for name in [
        "idem_takeovers_total{operation=pay}",
        "idem_fenced_total{operation=pay}",
        "idem_fail_open_total{operation=pay}",
        "idem_heartbeats_total{result=renewed}",
        "idem_heartbeats_total{result=fenced}",
        "idem_requests_total{operation=pay,outcome=unprotected}",
        "idem_requests_total{operation=pay,outcome=store_failed}",
    ] {
        assert_eq!(seen.get(name), Some(&1.0), "{name}: {seen:#?}");
    }
    assert!(seen["idem_heartbeats_total{result=failed}"] > 3.0);
    assert_eq!(
        seen["idem_store_duration_seconds{verb=claim,result=error}"],
        2.0
    );
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_comes_too_late_for_a_record_is_no_news() {
    let numbers = Numbers::record();
    let node = Node::new();
    let slow = Fault::DelayAfter(Duration::from_millis(400));
    node.store.plan().next(Verb::Complete, slow);
    let time = LEASE / 3 - Duration::from_millis(100);
    assert_eq!(ran(&node.pay_slowly("k", time).await).1, 1);
    assert_eq!(node.store.plan().calls(Verb::Renew), 1);
    let seen = numbers.look();
    let fenced = seen.get("idem_heartbeats_total{result=fenced}");
    assert_eq!(fenced, None, "{seen:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_because_of_a_limit_is_counted_by_the_limit() {
    let numbers = Numbers::record();
    let limits = Limits {
        live_claims: Some(1),
        stored_bytes: Some(1),
    };
    let node = Node::built(ChaosStore::new(Arc::default()), |builder| {
        builder.limits(limits)
    });
    let slow = tokio::spawn(node.pay_slowly("slow", Duration::from_secs(1)));
    sleep(Duration::from_millis(1)).await;
    node.pay("more").await;
    node.store.plan().next(Verb::Spend, Fault::Refuse);
    ran(&slow.await.unwrap());
    ran(&node.pay("more").await);
    node.pay("even more").await;
    let seen = numbers.look();
    for (name, count) in [
        (
            "idem_requests_total{operation=pay,outcome=limited_live_claims}",
            1.0,
        ),
        (
            "idem_requests_total{operation=pay,outcome=limited_stored_bytes}",
            1.0,
        ),
        ("idem_store_duration_seconds{verb=spend,result=error}", 1.0),
        ("idem_store_duration_seconds{verb=spend,result=ok}", 1.0),
    ] {
        assert_eq!(seen.get(name), Some(&count), "{name}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_span_with_its_operation_slot_attempt_and_outcome() {
    let log = Log::default();
    let node = Node::new();
    let slot = node.call("ana", "k", "5").slot.short();
    let _guard = log.record(tracing::Level::INFO);
    node.fail("k").await;
    node.pay("k").await;
    node.pay("k").await;
    let text = log.text();
    let lines: Vec<_> = text.lines().filter(|l| l.contains("close")).collect();
    let expected = [
        "attempt=1 outcome=\"released\"",
        "attempt=2 outcome=\"executed\"",
        "outcome=\"replayed\"",
    ];
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        let span = format!("idempotent{{operation=\"pay\" slot={slot} {expected}}}");
        assert!(line.contains(&span), "{span}\n{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_span_of_the_services_own_is_not_written_to() {
    let log = Log::default();
    let node = Node::new();
    // Their span is on, ours is off.
    let _guard = log.record(tracing::Level::ERROR);
    let span = tracing::error_span!("theirs", outcome = "theirs", attempt = 9);
    tracing::Instrument::instrument(node.pay("k"), span).await;
    let text = log.text();
    assert!(
        text.contains("theirs{outcome=\"theirs\" attempt=9}"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_work_runs_in_the_span_also_when_its_client_has_gone() {
    let log = Log::default();
    let node = Node::new();
    let _guard = log.record(tracing::Level::INFO);
    let call = node.call("ana", "k", "5");
    let work = node.pay_before(call, async {
        tracing::info!("before");
        sleep(LEASE).await;
        tracing::info!("after");
    });
    let _ = tokio::time::timeout(LEASE / 2, work).await;
    let _ = node.runtime.drain(PATIENCE).await;
    let text = log.text();
    for event in ["before", "after"] {
        let line = text.lines().find(|line| line.ends_with(event));
        assert!(line.is_some_and(|l| l.contains("idempotent{")), "{text}");
    }
    assert!(text.contains("outcome=\"executed\""), "{text}");
}

#[tokio::test(start_paused = true)]
async fn neither_key_nor_user_nor_payload_is_told() {
    const SECRETS: [&str; 3] = ["the-secret-key", "the-secret-user", "the-secret-payload"];
    let log = Log::default();
    let numbers = Numbers::record();
    let node = Node::new();
    let _guard = log.record(tracing::Level::TRACE);
    let [key, user, payload] = SECRETS;
    let pay = |payload, time| {
        let call = node.call(user, key, payload);
        node.pay_before(call, sleep(time))
    };
    node.store.plan().next(Verb::Claim, Fault::FailAfter);
    node.store.plan().always(Verb::Renew, Fault::FailBefore);
    let stale = tokio::spawn(pay(payload, 2 * LAPSE));
    sleep(LAPSE).await;
    node.peer()
        .pay_before(node.call(user, key, payload), async {})
        .await;
    node.store.plan().clear();
    stale.await.unwrap();
    pay("other", LEASE).await;
    node.store.plan().always(Verb::Claim, Fault::Corrupt);
    let refused = pay(payload, LEASE).await;
    tracing::info!(
        "{refused:?} {:?} {:?}",
        node.runtime,
        node.call(user, key, payload)
    );
    node.store.plan().clear();
    node.store.plan().always(Verb::Complete, Fault::FailBefore);
    let call = node.call(user, &format!("{key}-2"), payload);
    node.pay_before(call, async {}).await;
    let _ = node.runtime.drain(PATIENCE).await;
    let text = log.text();
    for line in [
        "took over",
        "has taken over",
        "could not be renewed",
        "fenced",
        "refused",
        "in the background",
        "giving up",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let labels = format!("{:?}", numbers.look());
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
        assert!(!labels.contains(secret), "{secret} is a label");
    }
}

#[test]
fn a_builder_does_not_show_its_secret() {
    let builder = idem_core::Runtime::builder(idem_core::MemoryStore::new())
        .namespace("shop")
        .secret("the-secret");
    let shown = format!("{builder:?}");
    assert!(
        shown.contains("shop") && shown.contains("hidden"),
        "{shown}"
    );
    assert!(!shown.contains("the-secret"), "{shown}");
    let runtime = format!("{:?}", builder.build().unwrap());
    assert!(runtime.contains("keyed"), "{runtime}");
    assert!(!runtime.contains("the-secret"), "{runtime}");
}

/// What says how long a rotation of the secret has to wait for its last stage.
#[tokio::test(start_paused = true)]
async fn calls_that_are_answered_under_the_accepted_secret_are_counted() {
    let numbers = Numbers::record();
    let old = Node::built(ChaosStore::new(Arc::default()), |builder| {
        builder.secret("old").accept_secret("new")
    });
    let new = old.peer_built(|builder| builder.secret("new").accept_secret("old"));
    let counted = || {
        numbers
            .look()
            .get("idem_alias_total{operation=pay}")
            .copied()
    };
    old.fail("k").await;
    new.pay("fresh").await;
    assert_eq!(counted(), None);
    // One that runs there, and two that are replayed from there.
    new.pay("k").await;
    new.pay("k").await;
    old.pay("fresh").await;
    assert_eq!(counted(), Some(3.0));
}

/// How much of the replays the store is spared.
#[tokio::test(start_paused = true)]
async fn replays_without_the_store_are_counted_apart() {
    let numbers = Numbers::record();
    let max_age = Duration::from_secs(10);
    let node = Node::built(ChaosStore::new(Arc::default()), |builder| {
        builder.replay_cache(ReplayCache {
            max_bytes: 1 << 20,
            max_age,
        })
    });
    node.pay("k").await;
    for asked_after in [Duration::ZERO, Duration::ZERO, max_age] {
        sleep(asked_after).await;
        node.pay("k").await;
    }
    let seen = numbers.look();
    for (name, count) in [
        ("idem_cached_replays_total{operation=pay}", 2.0),
        ("idem_requests_total{operation=pay,outcome=replayed}", 3.0),
    ] {
        assert_eq!(seen.get(name), Some(&count), "{seen:#?}");
    }
}
