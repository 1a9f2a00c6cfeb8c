use axum::Json;
use idem_axum::{Sqlite, Tx, idempotent};

#[idempotent(ttl = "24h", scope = "user", retries = 0)]
async fn none(tx: Tx<Sqlite>, Json(amount): Json<u64>) -> Result<Json<u64>, axum::extract::rejection::JsonRejection> {
    let _ = tx;
    Ok(Json(amount))
}

#[idempotent(ttl = "24h", scope = "user", retries = "3")]
async fn in_quotes(tx: Tx<Sqlite>, Json(amount): Json<u64>) -> Result<Json<u64>, axum::extract::rejection::JsonRejection> {
    let _ = tx;
    Ok(Json(amount))
}

fn main() {}
