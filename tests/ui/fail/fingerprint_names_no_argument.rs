use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", fingerprint = (1, 2))]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
