//! Which store an example uses: what `IDEM_STORE` says.
//!
//! | `IDEM_STORE` | store |
//! | --- | --- |
//! | `memory`, or not set | this process's memory |
//! | `redis://HOST:PORT`, `rediss://…`, `redis+unix:///PATH` | one Redis |
//! | `redis-sentinel://HOST:PORT,HOST:PORT/MASTER-NAME` | the master that these sentinels name |
//! | `sqlite:PATH` | a SQLite file |
//! | `postgres://USER:PASSWORD@HOST:PORT/DATABASE` | PostgreSQL |
//! | `redis-cluster://HOST:PORT,HOST:PORT` | a Redis cluster |
//!
//! With `IDEM_MIN_REPLICAS=1` each write to Redis waits for one replica. `IDEM_REAP_EVERY=10s` says how
//! often SQLite and PostgreSQL delete what is over.

use std::{env, error::Error};

use idem_axum::{Idempotency, IdempotencyBuilder, MemoryStore};

pub(crate) async fn idempotency() -> Result<IdempotencyBuilder, Box<dyn Error>> {
    match env::var("IDEM_STORE") {
        Ok(url) => at(&url).await,
        Err(env::VarError::NotPresent) => at("memory").await,
        Err(error) => Err(format!("IDEM_STORE: {error}").into()),
    }
}

pub(crate) async fn at(url: &str) -> Result<IdempotencyBuilder, Box<dyn Error>> {
    match url {
        "memory" => Ok(Idempotency::builder(MemoryStore::new())),
        url if url.starts_with("redis") => redis(url).await,
        url if url.starts_with("sqlite:") => sqlite(url).await,
        url if url.starts_with("postgres") => postgres(url).await,
        other => {
            let known = "`memory`, `sqlite:PATH`, `postgres://…`, `redis://…`, `redis-sentinel://…` and `redis-cluster://…`";
            Err(format!("IDEM_STORE is `{other}`; this program knows {known}").into())
        }
    }
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<IdempotencyBuilder, Box<dyn Error>> {
    let mut store = idem_axum::RedisStore::builder(url);
    if let Ok(replicas) = env::var("IDEM_MIN_REPLICAS") {
        let replicas = replicas
            .parse()
            .map_err(|error| format!("IDEM_MIN_REPLICAS: {error}"))?;
        store = store.min_replicas(replicas, std::time::Duration::from_millis(100));
    }
    // Its text says what to do, and `main` would show its fields.
    let store = store.connect().await.map_err(|error| error.to_string())?;
    Ok(Idempotency::builder(store))
}

#[cfg(not(feature = "redis"))]
async fn redis(_url: &str) -> Result<IdempotencyBuilder, Box<dyn Error>> {
    Err("IDEM_STORE says Redis, and this build has only memory: add `--features redis`".into())
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn reap_every() -> Result<Option<std::time::Duration>, String> {
    let Ok(interval) = env::var("IDEM_REAP_EVERY") else {
        return Ok(None);
    };
    let interval = humantime::parse_duration(&interval);
    interval
        .map(Some)
        .map_err(|error| format!("IDEM_REAP_EVERY: {error}; write `10s`"))
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str) -> Result<IdempotencyBuilder, Box<dyn Error>> {
    let mut store = idem_axum::SqliteStore::builder(url);
    if let Some(interval) = reap_every()? {
        store = store.reap_every(interval);
    }
    let store = store.connect().await?;
    store.migrate().await?;
    Ok(Idempotency::builder(store))
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(_url: &str) -> Result<IdempotencyBuilder, Box<dyn Error>> {
    Err("IDEM_STORE says SQLite, and this build has it not: add `--features sqlite`".into())
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<IdempotencyBuilder, Box<dyn Error>> {
    let mut store = idem_axum::PostgresStore::builder(url);
    if let Some(interval) = reap_every()? {
        store = store.reap_every(interval);
    }
    let store = store.connect().await?;
    store.migrate().await?;
    Ok(Idempotency::builder(store))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_url: &str) -> Result<IdempotencyBuilder, Box<dyn Error>> {
    Err("IDEM_STORE says PostgreSQL, and this build has it not: add `--features postgres`".into())
}
