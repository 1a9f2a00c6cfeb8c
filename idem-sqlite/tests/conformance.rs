//! It is a store, in a file of its own and beside others in one.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use idem_core::testing::{
    TestClock,
    conformance::{Subject, every_behaviour},
};
use idem_sqlite::SqliteStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicU32::new(0);
    every_behaviour(|| async {
        let file = directory
            .path()
            .join(format!("{}.db", next.fetch_add(1, Relaxed)));
        let store = SqliteStore::connect(&format!("sqlite:{}", file.display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        Subject::new(Arc::new(store), TestClock::real(Duration::from_millis(150)))
    })
    .await;
}
