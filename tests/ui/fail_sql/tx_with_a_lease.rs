use idem_axum::{Lease, Sqlite, Tx, idempotent};

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(tx: Tx<Sqlite>, lease: Lease, amount: String) -> String {
    let _ = (tx, lease);
    amount
}

fn main() {}
