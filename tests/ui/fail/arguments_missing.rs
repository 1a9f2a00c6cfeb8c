use idem_axum::idempotent;

#[idempotent]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
