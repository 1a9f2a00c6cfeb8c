use std::sync::Arc;

use axum::extract::FromRef;
use idem_axum::{Idempotency, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

#[idempotent(ttl = "24h", scope = "user", state = Arc<App>)]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
