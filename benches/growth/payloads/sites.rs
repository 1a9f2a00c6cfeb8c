//! The same handlers on each store.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRef},
    routing::post,
};
use idem_axum::{Idempotency, MemoryStore, PostgresStore, RedisStore, Store, idempotent};
use idem_servers::{Postgres, Redis};
use serde::{Deserialize, Serialize};

/// Longer than any payload takes: nothing is sent twice.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) text: String,
}

async fn bare_json(Json(document): Json<Document>) -> Json<Document> {
    Json(document)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn json(Json(document): Json<Document>) -> Json<Document> {
    Json(document)
}

async fn bare_bytes(bytes: Bytes) -> Bytes {
    bytes
}

#[idempotent(ttl = "24h", scope = "global")]
async fn bytes(bytes: Bytes) -> Bytes {
    bytes
}

fn router(store: impl Store) -> Router {
    let idempotency = Idempotency::builder(store)
        .max_response(usize::MAX)
        .store_deadline(PATIENCE)
        .store_try_timeout(PATIENCE)
        .complete_timeout(PATIENCE)
        .build()
        .unwrap();
    Router::new()
        .route("/bare/json", post(bare_json))
        .route("/json", post(json))
        .route("/bare/bytes", post(bare_bytes))
        .route("/bytes", post(bytes))
        .layer(DefaultBodyLimit::disable())
        .with_state(App { idempotency })
}

/// Where records are.
pub(crate) enum Site {
    Memory(Router),
    Redis(Redis),
    Postgres(Postgres),
}

impl Site {
    pub(crate) fn memory() -> Self {
        Self::Memory(router(MemoryStore::with_limits(usize::MAX, usize::MAX)))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Redis(_) => "Redis",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// With connections of its own: what those of others have kept of their buffers would
    /// not be seen.
    pub(crate) async fn router(&self) -> Router {
        match self {
            Self::Memory(router) => router.clone(),
            Self::Redis(redis) => {
                let store = RedisStore::builder(redis.url()).command_timeout(PATIENCE);
                router(store.connect().await.unwrap())
            }
            Self::Postgres(postgres) => {
                let store = PostgresStore::builder(postgres.url())
                    .statement_timeout(PATIENCE)
                    .without_reaper()
                    .connect()
                    .await
                    .unwrap();
                store.migrate().await.unwrap();
                router(store)
            }
        }
    }
}
