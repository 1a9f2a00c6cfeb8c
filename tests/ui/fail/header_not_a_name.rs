use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", header = "X Request Id")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
