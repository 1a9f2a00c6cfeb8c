use axum::extract::Path;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", fingerprint = "raw")]
async fn cancel(Path(id): Path<u64>) -> String {
    id.to_string()
}

fn main() {}
