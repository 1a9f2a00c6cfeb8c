//! It is a store, wherever the server is and whatever is between it and us.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{sync::Arc, time::Duration};

use idem_core::{
    Store,
    testing::{
        Insisting, TestClock,
        conformance::{Subject, every_behaviour},
    },
};
use idem_postgres::PostgresStore;
use idem_servers::{Postgres, Proxy};

/// Every behaviour on tables of its own in the same database.
async fn holds<S: Store>(store: impl AsyncFn() -> S) {
    let subject = || async {
        let clock = TestClock::real(Duration::from_millis(150));
        Subject::new(Arc::new(store().await), clock)
    };
    every_behaviour(subject).await;
}

async fn fresh(url: &str) -> PostgresStore {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let store = PostgresStore::builder(url)
        .table(format!("t{number}"))
        .connections(4)
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp() {
    let server = Postgres::start().await;
    holds(async || fresh(&server.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_unix_socket() {
    let server = Postgres::start().await;
    holds(async || fresh(&server.socket_url()).await).await;
}

/// Invariant I8. Each verb is sent, its reply may be lost with the connection,
/// and it is asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_connections_are_cut_all_the_time() {
    let server = Postgres::start().await;
    let proxies = std::sync::Mutex::new(Vec::new());
    holds(async || {
        let proxy = Arc::new(Proxy::start(server.port()).await);
        proxies.lock().unwrap().push(Arc::clone(&proxy));
        let store = fresh(&server.url_through(&proxy)).await;
        let calls = std::sync::atomic::AtomicU32::new(0);
        Insisting::new(store, move |_| {
            // Every third verb meets a connection that is just being cut.
            if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3 == 2 {
                proxy.cut();
            }
        })
    })
    .await;
}
