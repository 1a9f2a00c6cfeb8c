use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", fingerprint = "rwa")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
