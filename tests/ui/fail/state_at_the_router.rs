use axum::{Router, routing::post};
use idem_axum::idempotent;

#[derive(Clone)]
struct AppState;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {
    let _: Router = Router::new().route("/pay", post(pay)).with_state(AppState);
}
