use axum::extract::{FromRef, State};
use idem_axum::{Idempotency, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

struct User;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(State(_app): State<App>, _user: User, amount: String) -> String {
    amount
}

#[idempotent(ttl = "24h", scope = "user", state = App)]
async fn cancel(_user: User) -> &'static str {
    "done"
}

fn main() {}
