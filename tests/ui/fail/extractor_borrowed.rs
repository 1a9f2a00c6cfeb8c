use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: &str) -> String {
    amount.to_owned()
}

fn main() {}
