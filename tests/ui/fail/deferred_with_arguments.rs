use axum::http::HeaderMap;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(#[deferred(always)] _headers: HeaderMap, amount: String) -> String {
    amount
}

fn main() {}
