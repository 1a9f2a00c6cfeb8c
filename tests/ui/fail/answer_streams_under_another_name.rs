use std::convert::Infallible;

use axum::{
    http::StatusCode,
    response::sse::{Event, Sse},
};
use futures_util::stream::{Empty, empty};
use idem_axum::idempotent;

type Events = Sse<Empty<Result<Event, Infallible>>>;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(_amount: String) -> Result<Events, StatusCode> {
    Ok(Sse::new(empty()))
}

#[idempotent(ttl = "24h", scope = "user")]
async fn with_a_header(_amount: String) -> ([(&'static str, &'static str); 1], Events) {
    ([("x-accel-buffering", "no")], Sse::new(empty()))
}

fn main() {}
