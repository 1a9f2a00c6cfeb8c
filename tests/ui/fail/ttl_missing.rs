use idem_axum::idempotent;

#[idempotent(scope = "user")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
