use axum::Json;
use idem_axum::{Sqlite, Tx, idempotent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment {
    amount: u64,
}

#[idempotent(ttl = "24h", scope = "user", retries = 3)]
async fn pay(tx: Tx<Sqlite>, Json(payment): Json<Payment>) -> Result<String, axum::extract::rejection::JsonRejection> {
    let _ = tx;
    Ok(payment.amount.to_string())
}

fn main() {}
