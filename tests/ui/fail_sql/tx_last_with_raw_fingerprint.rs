use axum::extract::Path;
use idem_axum::{Sqlite, Tx, idempotent};

#[idempotent(ttl = "24h", scope = "user", fingerprint = "raw")]
async fn pay(Path(account): Path<u64>, tx: Tx<Sqlite>) -> String {
    let _ = tx;
    account.to_string()
}

fn main() {}
