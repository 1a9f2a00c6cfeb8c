use axum::Json;
use idem_axum::idempotent;

struct Payment {
    amount: u32,
}

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(payment: Option<Json<Payment>>) -> String {
    payment.map_or(0, |Json(payment)| payment.amount).to_string()
}

fn main() {}
