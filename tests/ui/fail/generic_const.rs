use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay<const N: usize>(amount: String) -> String {
    amount.repeat(N)
}

fn main() {}
