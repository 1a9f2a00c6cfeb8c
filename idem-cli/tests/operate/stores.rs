//! Stores to operate on, each with its address.

use idem_postgres::PostgresStore;
use idem_redis::RedisStore;
use idem_servers::{Postgres, Redis};
use idem_sqlite::SqliteStore;
use tempfile::TempDir;

/// A store, its address, and what it needs to be there.
pub(crate) struct Kept<S, K> {
    pub(crate) store: S,
    pub(crate) url: String,
    pub(crate) keeper: K,
}

pub(crate) async fn sqlite() -> Kept<SqliteStore, TempDir> {
    let keeper = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", keeper.path().join("service.db").display());
    let store = SqliteStore::builder(&url).without_reaper().connect().await;
    let store = store.unwrap();
    store.migrate().await.unwrap();
    Kept { store, url, keeper }
}

pub(crate) async fn postgres() -> Kept<PostgresStore, Postgres> {
    let keeper = Postgres::start().await;
    let url = keeper.url();
    let store = PostgresStore::builder(&url)
        .without_reaper()
        .connect()
        .await;
    let store = store.unwrap();
    store.migrate().await.unwrap();
    Kept { store, url, keeper }
}

pub(crate) async fn redis() -> Kept<RedisStore, Redis> {
    let keeper = Redis::start().await;
    let url = keeper.url();
    let store = RedisStore::connect(&url).await.unwrap();
    Kept { store, url, keeper }
}
