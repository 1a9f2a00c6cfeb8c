//! Handlers, each with something else in its signature.

use std::future::ready;

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{header::LOCATION, HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{delete, post, put},
    Json, Router,
};
use safe::idempotent;
use serde::{Deserialize, Serialize};

use crate::{App, Connection, Effects, Lines, User};

/// What a client wants to pay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payment {
    /// How much.
    pub amount: u32,
    /// Of what.
    pub currency: String,
    /// When this request was sent, which differs between retries.
    #[serde(default)]
    pub sent_at: String,
}

/// What has been paid.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    /// The effect's number.
    pub effect: usize,
    /// How much.
    pub amount: u32,
}

/// Why nothing was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The amount is zero.
    NothingToPay,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NothingToPay => (StatusCode::UNPROCESSABLE_ENTITY, "nothing to pay"),
        }
        .into_response()
    }
}

/// Pays. A registered scope, destructured arguments, and an answer that is a `Result`.
///
/// # Errors
/// [`Refusal::NothingToPay`]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
pub async fn pay(
    State(effects): State<Effects>,
    User { id: _ }: User,
    Json(Payment { amount, .. }): Json<Payment>,
) -> Result<Json<Receipt>, Refusal> {
    if amount == 0 {
        return Err(Refusal::NothingToPay);
    }
    let effect = effects.happen();
    Ok(Json(Receipt { effect, amount }))
}

/// Pays, and tells payments apart by what is not about their sending: every
/// expression that the attribute takes.
#[idempotent(
    crate = ::safe,
    ttl = "24h",
    scope = format!("{}/{till}", user.id),
    key = &payment.currency,
    fingerprint = (&payment.currency, payment.amount),
)]
pub async fn pay_amount(
    Path(till): Path<u16>,
    State(effects): State<Effects>,
    user: User,
    Json(payment): Json<Payment>,
) -> (StatusCode, [(HeaderName, String); 1], Json<Receipt>) {
    let effect = effects.happen();
    let amount = payment.amount;
    let location = [(
        LOCATION,
        format!("/users/{}/tills/{till}/{effect}", user.id),
    )];
    (
        StatusCode::CREATED,
        location,
        Json(Receipt { effect, amount }),
    )
}

/// Tops an account up: `mut`, and an argument that comes late.
#[idempotent(crate = ::safe, ttl = "24h", scope = "user", wait = "5s", record = "success")]
pub async fn top_up(
    State(effects): State<Effects>,
    #[deferred] mut connection: Connection,
    Json(mut amount): Json<u32>,
) -> String {
    amount = amount.saturating_add(1);
    let effect = effects.happen();
    format!("{effect}: {amount}, {}", connection.close())
}

/// Imports lines, which an extractor reads that axum does not know. Its answer has no name.
#[idempotent(crate = ::safe, ttl = "24h", scope = user.id, key = "required")]
pub async fn import(
    State(effects): State<Effects>,
    user: User,
    Lines(lines): Lines,
) -> impl IntoResponse {
    let effect = effects.happen();
    let answer = format!("{effect}: {} lines of {}", lines.len(), user.id);
    (StatusCode::CREATED, answer)
}

/// One that its crate alone can name.
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
pub(crate) async fn forget(State(effects): State<Effects>, Path(line): Path<u16>) -> String {
    format!("{}: {line}", effects.happen())
}

/// A payload that is told apart by its bytes.
#[idempotent(crate = ::safe, ttl = "24h", scope = "global", fingerprint = "raw")]
pub async fn raw(State(effects): State<Effects>, body: Bytes) -> String {
    format!("{}: {} bytes", effects.happen(), body.len())
}

/// A webhook: its key is in its payload.
#[idempotent(crate = ::safe, ttl = "7d", scope = "global", key = event)]
pub async fn notify(State(effects): State<Effects>, event: String) -> StatusCode {
    let _effect = effects.happen();
    drop(event);
    StatusCode::NO_CONTENT
}

/// Nothing to extract.
#[idempotent(crate = ::safe, ttl = "24h", scope = "global", key = "optional")]
pub async fn beat() -> &'static str {
    "alive"
}

/// Handlers in an `impl` block.
#[derive(Debug, Clone, Copy)]
pub struct Till;

impl Till {
    /// What a payment costs.
    pub const FEE: u32 = 2;

    /// Names the block's own type, so it cannot be nested in another function.
    #[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
    pub async fn pay(
        State(effects): State<Effects>,
        Json(mut payment): Json<Payment>,
    ) -> Json<Receipt> {
        // Pedantic clippy wants an await in any associated function that is async.
        let fee = ready(Self::FEE).await;
        payment.amount = payment.amount.saturating_add(fee);
        let effect = effects.happen();
        let amount = payment.amount;
        Json(Receipt { effect, amount })
    }

    /// Does not name it.
    #[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
    pub async fn close(State(effects): State<Effects>, Path(till): Path<u16>) -> String {
        format!("{}: {till}", effects.happen())
    }
}

/// All of them.
pub fn router() -> Router<App> {
    Router::new()
        .route("/pay", post(pay))
        .route("/tills/{till}/pay", post(pay_amount))
        .route("/top-up", post(top_up))
        .route("/lines", post(import))
        .route("/lines/{line}", delete(forget))
        .route("/raw", post(raw))
        .route("/notify", post(notify))
        .route("/beat", post(beat))
        .route("/till/pay", post(Till::pay))
        .route("/tills/{till}", put(Till::close))
}

/// Whose key it is, and nothing else: the argument is used by the scope alone.
#[idempotent(crate = ::safe, ttl = "24h", scope = tenant)]
pub async fn scoped(
    Path(tenant): Path<u16>,
    State(effects): State<Effects>,
    line: String,
) -> String {
    format!("{}: {line}", effects.happen())
}

/// A raw identifier that a format string captures.
#[idempotent(crate = ::safe, ttl = "24h", scope = format!("{type}"))]
pub async fn typed(State(effects): State<Effects>, Path(r#type): Path<u16>) -> String {
    format!("{}: {type}", effects.happen())
}

/// More arguments than clippy likes, which the author knows.
#[expect(clippy::too_many_arguments, reason = "it is about them")]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
pub async fn crowded(
    _: State<Effects>,
    _: User,
    _: User,
    _: User,
    _: User,
    _: User,
    _: User,
    _: String,
) -> &'static str {
    "crowded"
}

/// What no router has.
#[expect(dead_code, reason = "a handler that no router has is no secret")]
mod unrouted {
    /// Nobody asks.
    #[safe::idempotent(crate = ::safe, ttl = "24h", scope = "global")]
    async fn forgotten() -> &'static str {
        "nobody asks"
    }
}
