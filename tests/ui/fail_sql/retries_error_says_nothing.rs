use idem_axum::{Sqlite, Tx, idempotent};

#[idempotent(ttl = "24h", scope = "user", retries = 3)]
async fn text(tx: Tx<Sqlite>) -> Result<String, String> {
    let _ = tx;
    Ok(String::new())
}

#[idempotent(ttl = "24h", scope = "user", retries = 3)]
async fn no_result(tx: Tx<Sqlite>) -> String {
    let _ = tx;
    String::new()
}

fn main() {}
