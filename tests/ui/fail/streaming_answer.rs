use std::convert::Infallible;

use axum::response::sse::{Event, Sse};
use futures_util::stream::{Empty, empty};
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: String) -> Sse<Empty<Result<Event, Infallible>>> {
    drop(amount);
    Sse::new(empty())
}

fn main() {}
