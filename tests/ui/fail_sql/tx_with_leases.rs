use idem_axum::{Sqlite, Tx, idempotent};

#[idempotent(ttl = "24h", scope = "user", on_crash = "refuse", store_error = "fail_open")]
async fn pay(tx: Tx<Sqlite>) -> &'static str {
    let _ = tx;
    "paid"
}

fn main() {}
