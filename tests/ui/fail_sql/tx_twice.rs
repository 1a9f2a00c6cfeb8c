use idem_axum::{Sqlite, Tx, idempotent};

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(tx: Tx<Sqlite>, other: Tx<Sqlite>) -> &'static str {
    let _ = (tx, other);
    "paid"
}

fn main() {}
