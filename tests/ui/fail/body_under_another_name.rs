use axum::{Json, Json as Seen, http::Method};
use idem_axum::idempotent;
use serde::Deserialize;

#[derive(Deserialize)]
struct Payment {
    amount: u32,
}

type Payload<T> = Json<T>;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(Json(payment): Payload<Payment>) -> String {
    payment.amount.to_string()
}

#[idempotent(ttl = "24h", scope = "user")]
async fn not_last(Json(amount): Payload<u32>, method: Method) -> String {
    format!("{amount} {method}")
}

#[idempotent(ttl = "24h", scope = "user")]
async fn renamed(Seen(payment): Seen<Payment>) -> String {
    payment.amount.to_string()
}

fn main() {}
