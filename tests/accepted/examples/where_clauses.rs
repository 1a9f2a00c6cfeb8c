use axum::{Json, Router, response::IntoResponse, routing::post};
use idem_axum::{Idempotency, idempotent};

#[idempotent(ttl = "24h", scope = "global")]
async fn pay(Json(amount): Json<u32>) -> impl IntoResponse
where
    u32: ToString,
    Json<u32>: IntoResponse,
{
    amount.to_string()
}

fn main() {
    let _: Router<Idempotency> = Router::new().route("/pay", post(pay));
}
