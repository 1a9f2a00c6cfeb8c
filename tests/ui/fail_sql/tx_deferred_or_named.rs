use idem_axum::{Sqlite, Tx, idempotent};

#[idempotent(ttl = "24h", scope = "user")]
async fn deferred(#[deferred] tx: Tx<Sqlite>) -> &'static str {
    let _ = tx;
    "paid"
}

#[idempotent(ttl = "24h", scope = tx.user)]
async fn named(tx: Tx<Sqlite>) -> &'static str {
    let _ = tx;
    "paid"
}

fn main() {}
