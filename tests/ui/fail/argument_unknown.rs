use idem_axum::idempotent;

#[idempotent(ttl = "24h", scpoe = "user", leese = "5s")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
