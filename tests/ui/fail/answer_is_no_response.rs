use idem_axum::idempotent;

struct Payment;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(_amount: String) -> Payment {
    Payment
}

fn main() {}
