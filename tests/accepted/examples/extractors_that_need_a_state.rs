use std::convert::Infallible;

use axum::{
    Json, Router,
    extract::{FromRef, FromRequestParts, State},
    http::request::Parts,
    routing::post,
};
use idem_axum::{Idempotency, idempotent};
use serde::Deserialize;

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    keys: Keys,
    bank: Bank,
}

#[derive(Clone)]
struct Keys;

#[derive(Clone)]
struct Bank;

/// From any state that keys can be taken from. That it is `Deserialize` does not make it a payload.
#[derive(Deserialize)]
struct Claims {
    user: u64,
}

impl<S: Send + Sync> FromRequestParts<S> for Claims
where
    Keys: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let _ = Keys::from_ref(state);
        Ok(Self { user: 1 })
    }
}

/// From one state only.
struct Connection;

impl FromRequestParts<App> for Connection {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

// None of these says what the router's state is, and it is not for us to guess.
#[idempotent(ttl = "24h", scope = claims.user)]
async fn no_state(claims: Claims, _: Connection, Json(amount): Json<u64>) -> String {
    (claims.user + amount).to_string()
}

#[idempotent(ttl = "24h", scope = claims.user)]
async fn part_of_the_state(State(_): State<Bank>, claims: Claims, _: Connection) -> String {
    claims.user.to_string()
}

// Every state has this part, so it says nothing of the whole.
#[idempotent(ttl = "24h", scope = claims.user)]
async fn the_runtime(State(_): State<Idempotency>, claims: Claims, _: Connection) -> String {
    claims.user.to_string()
}

#[idempotent(ttl = "24h", scope = claims.user)]
async fn last(State(_): State<Bank>, _: Connection, claims: Claims) -> String {
    claims.user.to_string()
}

#[idempotent(ttl = "24h", scope = claims.user)]
async fn two_parts(
    State(_): State<Bank>,
    State(_): State<Keys>,
    _: Connection,
    claims: Claims,
) -> String {
    claims.user.to_string()
}

#[idempotent(ttl = "24h", scope = claims.user)]
async fn all_of_it(State(app): State<App>, _: Connection, claims: Claims) -> String {
    let _ = app;
    claims.user.to_string()
}

#[idempotent(ttl = "24h", scope = claims.user, state = App)]
async fn told(#[deferred] _connection: Connection, claims: Claims, Json(_): Json<u64>) -> String {
    claims.user.to_string()
}

fn main() {
    let _: Router<App> = Router::new()
        .route("/no-state", post(no_state))
        .route("/part", post(part_of_the_state))
        .route("/runtime", post(the_runtime))
        .route("/last", post(last))
        .route("/parts", post(two_parts))
        .route("/all", post(all_of_it))
        .route("/told", post(told));
}
