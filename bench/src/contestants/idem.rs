//! The handler with the attribute, over each of the stores.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{FromRef, State},
    routing::post,
};
use idem_axum::{
    Idempotency, IdempotencyBuilder, MemoryStore, PostgresStore, RedisStore, ReplayCache,
    SqliteStore, Store, idempotent,
};
use tokio::time::sleep;

use super::{Executions, PATIENCE, SESSIONS, Service, Stored, WORK};
use crate::{error::Error, order::Order};

const CACHE: ReplayCache = ReplayCache {
    max_bytes: 16 << 20,
    max_age: Duration::from_secs(60),
};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    executions: Executions,
}

#[idempotent(ttl = "24h", scope = "global")]
async fn order(State(executions): State<Executions>, Json(order): Json<Order>) -> Json<Order> {
    executions.count();
    Json(order)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn slow(State(executions): State<Executions>, Json(order): Json<Order>) -> Json<Order> {
    executions.count();
    sleep(WORK).await;
    Json(order)
}

pub(super) fn over_memory() -> Result<Service, Error> {
    let store = MemoryStore::with_limits(usize::MAX, usize::MAX);
    service(by_itself(store), Stored::Elsewhere)
}

pub(super) async fn over_sqlite(directory: &str) -> Result<Service, Error> {
    let url = format!("sqlite:{directory}/idem.db");
    let store = SqliteStore::connect(&url).await.map_err(Error::store)?;
    store.migrate().await.map_err(Error::store)?;
    let stored = Stored::Sqlite(store.writer().clone());
    service(by_itself(store), stored)
}

pub(super) async fn over_redis(url: &str) -> Result<Service, Error> {
    let store = RedisStore::connect(url).await.map_err(Error::store)?;
    service(by_itself(store), Stored::Elsewhere)
}

pub(super) async fn over_redis_cached(url: &str) -> Result<Service, Error> {
    let store = RedisStore::connect(url).await.map_err(Error::store)?;
    service(by_itself(store).replay_cache(CACHE), Stored::Elsewhere)
}

pub(super) async fn over_postgres(url: &str) -> Result<Service, Error> {
    let store = postgres(url).await?;
    let stored = Stored::Postgres(store.pool().clone());
    service(by_itself(store), stored)
}

/// With its tables.
pub(super) async fn postgres(url: &str) -> Result<PostgresStore, Error> {
    let store = PostgresStore::builder(url)
        .connections(SESSIONS)
        .transaction_connections(SESSIONS)
        .connect()
        .await
        .map_err(Error::store)?;
    store.migrate().await.map_err(Error::store)?;
    Ok(store)
}

/// A runtime of the handlers of one module.
pub(super) fn builder(store: impl Store, module: &str) -> IdempotencyBuilder {
    Idempotency::builder(store)
        .only_modules([module])
        .store_deadline(PATIENCE)
        .store_try_timeout(PATIENCE)
        .complete_timeout(PATIENCE)
}

fn by_itself(store: impl Store) -> IdempotencyBuilder {
    builder(store, module_path!())
}

fn service(idempotency: IdempotencyBuilder, stored: Stored) -> Result<Service, Error> {
    let executions = Executions::default();
    let app = App {
        idempotency: idempotency.build().map_err(Error::store)?,
        executions: executions.clone(),
    };
    Ok(Service {
        router: Router::new()
            .route("/orders", post(order))
            .route("/slow", post(slow))
            .with_state(app),
        executions,
        stored,
    })
}
