use axum::extract::Request;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(request: Request) -> String {
    request.uri().to_string()
}

fn main() {}
