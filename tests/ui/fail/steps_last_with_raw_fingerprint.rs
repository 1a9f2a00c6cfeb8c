use axum::extract::Path;
use idem_axum::{Steps, idempotent};

#[idempotent(ttl = "24h", scope = "user", fingerprint = "raw")]
async fn pay(Path(account): Path<u64>, steps: Steps) -> String {
    let _ = steps;
    account.to_string()
}

fn main() {}
