//! The same protection for work outside HTTP.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use common::{LAPSE, LEASE, PATIENCE, TTL};
use idem_core::{
    KeyError, MemoryStore, OnCrash, OnStoreError, Once, OnceError, Overrides, PolicyError, Runtime,
    Scope, StoreError,
    testing::{ChaosStore, Fault, Verb},
};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Invoice {
    number: u32,
    lines: Vec<String>,
    totals: BTreeMap<String, i64>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the printer is out of paper")]
struct OutOfPaper;

struct Printer {
    runtime: Runtime,
    store: ChaosStore<MemoryStore>,
    printed: Arc<AtomicUsize>,
}

type Printed = Result<Once<Invoice>, OnceError<OutOfPaper>>;

impl Printer {
    fn new() -> Self {
        let store = ChaosStore::new(MemoryStore::new());
        let policy = idem_core::Policy {
            lease: LEASE,
            ttl: TTL,
            ..idem_core::Policy::default()
        };
        Self {
            runtime: Runtime::builder(store.clone())
                .policy(policy)
                .build()
                .unwrap(),
            store,
            printed: Arc::default(),
        }
    }

    fn work(
        &self,
        time: Duration,
    ) -> impl Future<Output = Result<Invoice, OutOfPaper>> + Send + 'static {
        let printed = Arc::clone(&self.printed);
        async move {
            let number = printed.fetch_add(1, SeqCst) as u32 + 1;
            sleep(time).await;
            Ok(Invoice {
                number,
                lines: vec!["a".to_owned()],
                totals: BTreeMap::from([("EUR".to_owned(), -1250)]),
            })
        }
    }

    async fn print(&self, key: &str, payload: &str) -> Printed {
        let work = || self.work(Duration::ZERO);
        self.runtime
            .once("print", &Scope::GLOBAL, key, payload, work)
            .await
    }

    async fn print_with(&self, overrides: &Overrides, key: &str, time: Duration) -> Printed {
        let work = || self.work(time);
        self.runtime
            .once_with(overrides, "print", &Scope::GLOBAL, key, "p", work)
            .await
    }

    fn printed(&self) -> usize {
        self.printed.load(SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn the_result_of_the_first_run_is_everybodys() {
    let printer = Printer::new();
    let first = printer.print("k", "p").await.unwrap();
    assert!(!first.replayed);
    let again = printer.print("k", "p").await.unwrap();
    assert!(again.replayed);
    assert_eq!(first.value, again.value);
    assert_eq!(printer.print("l", "p").await.unwrap().value.number, 2);
}

#[tokio::test(start_paused = true)]
async fn another_payload_under_the_key_does_not_run() {
    let printer = Printer::new();
    printer.print("k", "p").await.unwrap();
    let other = printer.print("k", "q").await;
    assert!(matches!(other, Err(OnceError::KeyReused)), "{other:?}");
    assert_eq!(printer.printed(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_or_a_panic_is_not_a_result() {
    let printer = Printer::new();
    let fails = || async { Err::<Invoice, _>(OutOfPaper) };
    let failed = printer
        .runtime
        .once("print", &Scope::GLOBAL, "k", "p", fails)
        .await;
    assert!(matches!(failed, Err(OnceError::Work(OutOfPaper))));
    let panics = || async {
        std::panic::resume_unwind(Box::new("on purpose"));
        #[allow(unreachable_code, reason = "says the type of the result")]
        Err::<Invoice, OutOfPaper>(OutOfPaper)
    };
    let panicked = printer
        .runtime
        .once("print", &Scope::GLOBAL, "k", "p", panics)
        .await;
    assert!(matches!(panicked, Err(OnceError::Panicked)), "{panicked:?}");
    assert!(!printer.print("k", "p").await.unwrap().replayed);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_cancelled_has_still_run_once() {
    let printer = Printer::new();
    let slow = printer.print_with(&Overrides::NONE, "k", LEASE);
    assert!(timeout(LEASE / 2, slow).await.is_err());
    let busy = printer.print("k", "p").await;
    assert!(
        matches!(busy, Err(OnceError::InProgress { .. })),
        "{busy:?}"
    );
    let _ = printer.runtime.drain(PATIENCE).await;
    assert!(printer.print("k", "p").await.unwrap().replayed);
    assert_eq!(printer.printed(), 1);
}

#[tokio::test(start_paused = true)]
async fn overrides_are_heeded_and_checked() {
    let printer = Printer::new();
    let waiting = Overrides {
        wait: Some(PATIENCE),
        ..Overrides::NONE
    };
    let (first, second) = tokio::join!(
        printer.print_with(&waiting, "k", LEASE),
        printer.print_with(&waiting, "k", LEASE)
    );
    assert_eq!(first.unwrap().value, second.unwrap().value);
    let refused = Overrides {
        ttl: Some(Duration::ZERO),
        ..Overrides::NONE
    };
    let error = printer.print_with(&refused, "l", LEASE).await;
    assert!(matches!(
        error,
        Err(OnceError::Policy(PolicyError::ZeroTtl))
    ));
    assert_eq!(printer.printed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fell_silent_under_refuse_is_an_operators() {
    let printer = Printer::new();
    printer.store.plan().always(Verb::Renew, Fault::FailBefore);
    let refuse = Overrides {
        on_crash: Some(OnCrash::Refuse),
        ..Overrides::NONE
    };
    let silent = printer.print_with(&refuse, "k", 10 * LAPSE);
    assert!(timeout(LAPSE, silent).await.is_err());
    let retry = printer.print("k", "p").await;
    assert!(matches!(retry, Err(OnceError::OutcomeUnknown)), "{retry:?}");
    assert_eq!(printer.printed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_runs_nothing_unless_told_to() {
    let printer = Printer::new();
    printer.store.plan().always(Verb::Claim, Fault::FailBefore);
    let refused = printer.print("k", "p").await;
    assert!(matches!(
        refused,
        Err(OnceError::Store(StoreError::Unreachable(_)))
    ));
    assert_eq!(printer.printed(), 0);
    let open = Overrides {
        store_error: Some(OnStoreError::FailOpen),
        ..Overrides::NONE
    };
    let done = printer
        .print_with(&open, "k", Duration::ZERO)
        .await
        .unwrap();
    assert!(!done.replayed);
    assert_eq!(printer.printed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_key_or_payload_is_refused_before_anything_is_claimed() {
    let printer = Printer::new();
    let bad = printer.print("", "p").await;
    assert!(
        matches!(bad, Err(OnceError::Key(KeyError::Empty))),
        "{bad:?}"
    );
    let long = printer.print(&"k".repeat(256), "p").await;
    assert!(matches!(
        long,
        Err(OnceError::Key(KeyError::TooLong { length: 256 }))
    ));
    let mut deep = serde_json::json!(1);
    for _ in 0..200 {
        deep = serde_json::json!([deep]);
    }
    let work = || printer.work(Duration::ZERO);
    let unusable = printer
        .runtime
        .once("print", &Scope::GLOBAL, "k", &deep, work)
        .await;
    assert!(
        matches!(unusable, Err(OnceError::Payload(_))),
        "{unusable:?}"
    );
    assert_eq!(printer.store.plan().calls(Verb::Claim), 0);
    assert_eq!(printer.printed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_result_of_another_type_is_an_error_and_not_a_second_run() {
    let printer = Printer::new();
    printer.print("k", "p").await.unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let work = move || async move {
        count.fetch_add(1, SeqCst);
        Ok::<u64, OutOfPaper>(7)
    };
    let read = printer
        .runtime
        .once("print", &Scope::GLOBAL, "k", "p", work)
        .await;
    assert!(matches!(read, Err(OnceError::Result(_))), "{read:?}");
    assert_eq!(ran.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_serialized_does_not_run_again() {
    /// JSON has no keys that are lists.
    type Unspeakable = BTreeMap<Vec<u8>, u8>;
    let printer = Printer::new();
    let ran = AtomicUsize::new(0);
    for replayed in [false, true] {
        let work = || {
            ran.fetch_add(1, SeqCst);
            async { Ok::<Unspeakable, OutOfPaper>(BTreeMap::from([(vec![1], 1)])) }
        };
        let done = printer
            .runtime
            .once("print", &Scope::GLOBAL, "k", "p", work)
            .await;
        if replayed {
            assert!(matches!(done, Err(OnceError::Result(_))), "{done:?}");
        } else {
            assert_eq!(done.unwrap().value.len(), 1);
        }
    }
    // `work()` makes the future both times; only the first one is polled.
    assert_eq!(printer.store.plan().calls(Verb::Complete), 1);
}
