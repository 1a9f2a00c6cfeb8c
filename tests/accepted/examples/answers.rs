use axum::{
    Json, Router,
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use idem_axum::{Idempotency, Outcome, idempotent};

struct Oops;

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        StatusCode::BAD_GATEWAY.into_response()
    }
}

#[idempotent(ttl = "24h", scope = "global")]
async fn result(amount: String) -> Result<Json<u32>, Oops> {
    let amount = amount.parse().map_err(|_| Oops)?;
    if amount == 0 {
        return Err(Oops);
    }
    Ok(Json(amount))
}

#[idempotent(ttl = "24h", scope = "global")]
async fn tuple(amount: String) -> (StatusCode, [(HeaderName, &'static str); 1], Outcome, String) {
    let location = (HeaderName::from_static("location"), "/1");
    (StatusCode::CREATED, [location], Outcome::Record, amount)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn opaque(amount: String) -> impl IntoResponse {
    (StatusCode::CREATED, amount)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn response(amount: String) -> Response {
    amount.into_response()
}

#[idempotent(ttl = "24h", scope = "global")]
async fn unit(amount: String) -> () {
    drop(amount);
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/result", post(result))
        .route("/tuple", post(tuple))
        .route("/opaque", post(opaque))
        .route("/response", post(response))
        .route("/unit", post(unit));
}
