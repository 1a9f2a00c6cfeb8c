use idem_axum::idempotent;

#[idempotent(ttl = , scope = "user")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
