//! Executions that do nothing and are recorded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::body::Bytes;
use idem_axum::Store;
use idem_core::{
    Call, Execution, FingerprintBuilder, Finish, IdempotencyKey, Operation, Runtime, Scope, Stored,
};
use tokio::task::JoinSet;

/// What a small JSON answer takes with its headers, about.
pub(crate) const RECORD_BYTES: usize = 256;
/// How many are in flight while a store is filled.
const AT_ONCE: usize = 64;
/// Longer than any checkpoint of a server's: nothing is asked for twice.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn runtime(store: impl Store) -> Runtime {
    Runtime::builder(store)
        .store_deadline(PATIENCE)
        .store_try_timeout(PATIENCE)
        .complete_timeout(PATIENCE)
        .build()
        .unwrap()
}

fn call(runtime: &Runtime, key: &str) -> Call {
    let key = IdempotencyKey::new(key).unwrap();
    let asked = FingerprintBuilder::new().finish();
    let operation = Operation::new("grow");
    runtime.call(operation, &Scope::GLOBAL, &key, asked, runtime.settings())
}

async fn execute(runtime: &Runtime, call: Call) -> Execution<()> {
    let work = async {
        Finish::Record {
            answer: (),
            // Memory of its own, as every answer's.
            record: Bytes::from(vec![b'r'; RECORD_BYTES]),
        }
    };
    runtime.execute(call, work).await
}

/// How long it takes to claim a new key and to record its answer.
pub(crate) async fn fresh(runtime: &Runtime, key: &str) -> Duration {
    record(runtime, call(runtime, key)).await
}

async fn record(runtime: &Runtime, call: Call) -> Duration {
    let started = Instant::now();
    let execution = execute(runtime, call).await;
    let took = started.elapsed();
    match execution {
        Execution::Ran {
            stored: Stored::Recorded,
            ..
        } => took,
        other => panic!("a new key: {other:?}"),
    }
}

/// How long it takes to answer from the record of that number.
pub(crate) async fn replay(runtime: &Runtime, number: usize) -> Duration {
    let call = held(runtime, number);
    let started = Instant::now();
    let execution = execute(runtime, call).await;
    let took = started.elapsed();
    match execution {
        Execution::Replayed(_) => took,
        other => panic!("{number}: {other:?}"),
    }
}

/// The call whose record was there before.
pub(crate) fn held(runtime: &Runtime, number: usize) -> Call {
    call(runtime, &format!("held-{number}"))
}

/// Fills a store by its own verbs.
pub(crate) async fn fill(name: &str, runtime: &Runtime, records: usize) {
    let started = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (runtime, next) = (runtime.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut longest = Duration::ZERO;
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= records {
                    return longest;
                }
                longest = longest.max(record(&runtime, held(&runtime, number)).await);
            }
        });
    }
    let longest = tasks.join_all().await.into_iter().max();
    eprintln!(
        "{name}: {records} records in {:.1?}, the longest execution took {:.1?}",
        started.elapsed(),
        longest.unwrap_or_default(),
    );
}
