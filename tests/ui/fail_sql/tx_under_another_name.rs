use axum::Json;
use idem_axum::{Sqlite, Tx, idempotent};

type Db = Tx<Sqlite>;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(db: Db, Json(amount): Json<u64>) -> Json<u64> {
    let _ = db;
    Json(amount)
}

#[idempotent(ttl = "24h", scope = "user")]
async fn last(db: Db) -> &'static str {
    let _ = db;
    "paid"
}

fn main() {}
