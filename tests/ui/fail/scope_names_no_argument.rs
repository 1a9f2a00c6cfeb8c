use idem_axum::idempotent;

const SHARED: &str = "shared";

#[idempotent(ttl = "24h", scope = SHARED)]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
