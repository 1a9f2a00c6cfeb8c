use std::{convert::Infallible, fmt};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRef, FromRequestParts, Path},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use idem_axum::{Idempotency, Lease, Postgres, Sqlite, Steps, Tx, Writes, idempotent};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

#[derive(Clone, Serialize, Deserialize)]
struct Payment {
    id: String,
    amount: i64,
}

#[derive(Debug)]
struct Failed(sqlx::Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::PAYMENT_REQUIRED, Writes::Keep, self.to_string()).into_response()
    }
}

/// It cannot be cloned: each run extracts its own.
struct Expensive;

impl<S: Sync> FromRequestParts<S> for Expensive {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

async fn debit(connection: &mut SqliteConnection, amount: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE a SET b = b - ?1")
        .bind(amount)
        .execute(connection)
        .await?;
    Ok(())
}

#[idempotent(ttl = "24h", scope = "global")]
async fn first(mut tx: Tx<Sqlite>, Json(payment): Json<Payment>) -> Result<Json<Payment>, Failed> {
    debit(&mut tx, payment.amount).await?;
    let mut inner = tx.begin().await?;
    debit(&mut inner, 1).await?;
    inner.commit().await?;
    Ok(Json(payment))
}

#[idempotent(ttl = "24h", scope = payment.id, key = payment.id, retries = 3, state = App)]
async fn middle(
    Path(_path): Path<String>,
    mut tx: Tx<Postgres>,
    #[deferred] _expensive: Expensive,
    Json(payment): Json<Payment>,
) -> Result<Json<Payment>, Failed> {
    sqlx::query("SELECT 1").execute(&mut *tx).await?;
    Ok(Json(payment))
}

#[idempotent(ttl = "24h", scope = "global", key = "optional")]
async fn last(_expensive: Expensive, tx: idem_axum::Tx<idem_axum::Sqlite>) -> &'static str {
    let _ = tx;
    "done"
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = "raw", retries = 1)]
async fn raw(mut tx: Tx<Sqlite>, body: Bytes) -> Result<Bytes, Failed> {
    debit(&mut tx, 1).await?;
    Ok(body)
}

#[idempotent(ttl = "24h", scope = "global", on_crash = "refuse")]
async fn with_steps(
    mut tx: Tx<Postgres>,
    steps: Steps,
    Json(payment): Json<Payment>,
) -> Result<String, Failed> {
    sqlx::query("SELECT 1").execute(&mut *tx).await?;
    let wired = steps
        .run("wire", || async { Ok::<_, Failed>(payment.id.clone()) })
        .await;
    sqlx::query("SELECT 1").execute(&mut *tx).await?;
    Ok(wired.unwrap_or_default())
}

#[idempotent(ttl = "24h", scope = "global", retries = 2)]
async fn with_steps_again(
    steps: Steps,
    lease: Lease,
    #[deferred] _expensive: Expensive,
    mut tx: Tx<Postgres>,
    Json(payment): Json<Payment>,
) -> Result<String, Failed> {
    sqlx::query("SELECT 1").execute(&mut *tx).await?;
    Ok(format!(
        "{} {} {}",
        payment.id,
        steps.attempt(),
        lease.attempt()
    ))
}

struct Handlers;

impl Handlers {
    #[idempotent(ttl = "24h", scope = "global")]
    async fn method(mut tx: Tx<Sqlite>, Json(payment): Json<Payment>) -> Result<String, Failed> {
        Self::helper(&mut tx).await?;
        Ok(payment.id)
    }

    async fn helper(connection: &mut SqliteConnection) -> Result<(), Failed> {
        Ok(debit(connection, 1).await?)
    }
}

fn main() {
    let _: Router<App> = Router::new()
        .route("/first", post(first))
        .route("/middle/{id}", post(middle))
        .route("/last", post(last))
        .route("/raw", post(raw))
        .route("/with-steps", post(with_steps))
        .route("/with-steps-again", post(with_steps_again))
        .route("/method", post(Handlers::method));
}
