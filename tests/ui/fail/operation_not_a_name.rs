use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", operation = "")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
