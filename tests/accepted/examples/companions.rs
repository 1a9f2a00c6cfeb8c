#![deny(warnings)]

use axum::{
    Json, Router,
    extract::{FromRef, State},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    name: &'static str,
}

/// Above and below.
#[axum::debug_handler(state = App)]
#[idempotent(ttl = "24h", scope = "global")]
#[tracing::instrument(skip_all, fields(amount))]
async fn above(State(name): State<&'static str>, Json(amount): Json<u32>) -> String {
    format!("{name} {amount}")
}

#[tracing::instrument(skip(name))]
#[idempotent(ttl = "24h", scope = "global")]
#[axum::debug_handler(state = App)]
async fn below(State(name): State<&'static str>, Json(amount): Json<u32>) -> String {
    format!("{name} {amount}")
}

fn main() {
    let _: Router<App> = Router::new()
        .route("/above", post(above))
        .route("/below", post(below));
}
