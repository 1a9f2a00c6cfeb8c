//! A server for each test process, and a database of it for each store.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use idem_postgres::{PostgresStore, PostgresStoreBuilder};
use idem_servers::Postgres;

/// A store on a fresh database of the server, migrated.
pub async fn store(server: &Postgres) -> PostgresStore {
    let store = builder(server).await.connect().await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// A store-to-be on a fresh database of the server.
pub async fn builder(server: &Postgres) -> PostgresStoreBuilder {
    PostgresStore::builder(database(server).await)
}

/// The address of a fresh database.
pub async fn database(server: &Postgres) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("d{}", NEXT.fetch_add(1, Relaxed));
    server.create_database(&name).await;
    server.url_of(&name)
}
