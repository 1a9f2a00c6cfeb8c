use axum::{body::Body, extract::Multipart};
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(_body: Body) -> &'static str {
    "done"
}

#[idempotent(ttl = "24h", scope = "user")]
async fn upload(_parts: Multipart) -> &'static str {
    "done"
}

fn main() {}
