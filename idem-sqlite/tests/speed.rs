//! How fast it is on this machine. Measured and told, and never a reason to fail:
//! `cargo test --release -p idem-sqlite --test speed -- --ignored --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Place, RETENTION, grant, request, won};
use futures_util::future::join_all;
use idem_core::{Begun, Concluded, Ending, Store, Transactional, Writes, Written};
use idem_sqlite::SqliteStore;
use sqlx::Executor;

const SPAN: Duration = Duration::from_secs(2);

async fn plain(store: SqliteStore, slot: u64) {
    let granted = won(&store, request(slot)).await;
    let done = store.complete(granted, "done".into(), RETENTION).await;
    assert_eq!(done.unwrap(), Written::Done);
}

async fn transaction(store: SqliteStore, slot: u64) {
    let request = request(slot);
    let Begun::Claimed(mut transaction, claimed) = store.begin(request).await.unwrap() else {
        panic!("each slot is claimed once")
    };
    transaction
        .execute("INSERT INTO effects VALUES (1)")
        .await
        .unwrap();
    let ending = Ending::Complete {
        grant: grant(&request, &claimed),
        record: "done".into(),
        retention: RETENTION,
        writes: Writes::Keep,
    };
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
}

/// So many at once, each one after the other. How many there were in a second.
async fn rate<F>(store: &SqliteStore, at_once: u64, work: fn(SqliteStore, u64) -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let tasks = (0..at_once).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut done = 0_u32;
            while start.elapsed() < SPAN {
                work(store.clone(), (task << 32) + u64::from(done)).await;
                done += 1;
            }
            done
        })
    });
    let done: u32 = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    f64::from(done) / start.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn claims_and_completions_and_transactions_per_second() {
    for durable in [true, false] {
        for at_once in [1, 16] {
            for kind in ["claim + complete", "transaction"] {
                let place = Place::new();
                let builder = place.builder();
                let builder = if durable {
                    builder
                } else {
                    builder.may_lose_the_last_writes_with_the_power()
                };
                let store = builder.connect().await.unwrap();
                store.migrate().await.unwrap();
                let effects = "CREATE TABLE effects (x)";
                store.writer().execute(effects).await.unwrap();
                let rate = if kind == "transaction" {
                    rate(&store, at_once, transaction).await
                } else {
                    rate(&store, at_once, plain).await
                };
                let synchronous = if durable { "FULL" } else { "NORMAL" };
                println!("{synchronous:6} {at_once:2} in flight: {rate:7.0} {kind} per second");
            }
        }
    }
}
