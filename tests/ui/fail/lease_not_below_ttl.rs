use idem_axum::idempotent;

#[idempotent(ttl = "30s", scope = "user", lease = "1m")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
