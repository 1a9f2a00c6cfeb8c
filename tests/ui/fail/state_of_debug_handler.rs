use idem_axum::idempotent;

#[derive(Clone)]
struct AppState;

#[idempotent(ttl = "24h", scope = "user")]
#[axum::debug_handler(state = AppState)]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
