use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
