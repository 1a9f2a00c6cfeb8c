use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", state = "AppState")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
