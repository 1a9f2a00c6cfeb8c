//! `#[axum::debug_handler]` checks a handler's signature, and calls a copy of it to do so.

mod common;

use axum::{debug_handler, extract::State, http::StatusCode, routing::post, Json, Router};
use common::answer_and_replay;
use idem_companions::{App, Connection, Effects, Payment, Refusal, User};
use safe::idempotent;

#[debug_handler(state = App)]
#[idempotent(crate = ::safe, ttl = "24h", scope = user.id, fingerprint = payment.amount)]
async fn above(
    State(effects): State<Effects>,
    user: User,
    #[deferred] mut connection: Connection,
    Json(payment): Json<Payment>,
) -> Result<String, Refusal> {
    if payment.amount == 0 {
        return Err(Refusal::NothingToPay);
    }
    let effect = effects.happen();
    Ok(format!("{effect}: {}, {}", user.id, connection.close()))
}

#[idempotent(crate = ::safe, ttl = "24h", scope = user.id, fingerprint = payment.amount)]
#[debug_handler(state = App)]
async fn below(
    State(effects): State<Effects>,
    user: User,
    #[deferred] mut connection: Connection,
    Json(payment): Json<Payment>,
) -> Result<String, Refusal> {
    if payment.amount == 0 {
        return Err(Refusal::NothingToPay);
    }
    let effect = effects.happen();
    Ok(format!("{effect}: {}, {}", user.id, connection.close()))
}

/// The state of which is found by `debug_handler` itself, in the argument's type.
#[debug_handler]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
async fn inferred_above(State(app): State<App>, amount: String) -> (StatusCode, String) {
    let effect = app.effects().happen();
    (StatusCode::CREATED, format!("{effect}: {amount}"))
}

#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
#[debug_handler]
async fn inferred_below(State(app): State<App>, amount: String) -> (StatusCode, String) {
    let effect = app.effects().happen();
    (StatusCode::CREATED, format!("{effect}: {amount}"))
}

fn start() -> (Router, App) {
    let app = App::new().unwrap();
    let router = Router::new()
        .route("/above", post(above))
        .route("/below", post(below))
        .route("/inferred-above", post(inferred_above))
        .route("/inferred-below", post(inferred_below))
        .with_state(app.clone());
    (router, app)
}

async fn runs_once_and_refuses_once(line: &str) {
    let (router, app) = start();
    let payment = r#"{"amount": 5, "currency": "EUR"}"#;
    let paid = answer_and_replay(&router, line, payment).await;
    assert_eq!(
        (paid.status, &*paid.body),
        (StatusCode::OK, "1: ana, closed")
    );
    assert_eq!(app.effects().count(), 1);

    let (router, app) = start();
    let nothing = r#"{"amount": 0, "currency": "EUR"}"#;
    let refused = answer_and_replay(&router, line, nothing).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.effects().count(), 0);
}

#[tokio::test]
async fn a_retry_is_replayed_below_debug_handler() {
    runs_once_and_refuses_once("POST /above").await;
}

#[tokio::test]
async fn a_retry_is_replayed_above_debug_handler() {
    runs_once_and_refuses_once("POST /below").await;
}

#[tokio::test]
async fn debug_handler_finds_the_state_in_the_arguments_in_either_place() {
    for line in ["POST /inferred-above", "POST /inferred-below"] {
        let (router, app) = start();
        let first = answer_and_replay(&router, line, "7").await;
        assert_eq!((first.status, &*first.body), (StatusCode::CREATED, "1: 7"));
        assert_eq!(app.effects().count(), 1);
    }
}
