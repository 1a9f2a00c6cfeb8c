use axum::{Router, extract::State, routing::post};
use idem_axum::idempotent;

#[derive(Clone)]
struct AppState;

// What axum's own error suggests: like it, this takes the argument's state for the router's.
#[idempotent(ttl = "24h", scope = "user")]
#[axum::debug_handler]
async fn pay(State(_app): State<AppState>, amount: String) -> String {
    amount
}

fn main() {
    let _: Router = Router::new().route("/pay", post(pay)).with_state(AppState);
}
