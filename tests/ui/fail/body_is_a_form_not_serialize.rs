use axum::Form;
use idem_axum::idempotent;
use serde::Deserialize;

#[derive(Deserialize)]
struct Payment {
    amount: u32,
}

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(Form(payment): Form<Payment>) -> String {
    payment.amount.to_string()
}

fn main() {}
