use idem_axum::idempotent;

#[idempotent("24h", scope = "user")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
