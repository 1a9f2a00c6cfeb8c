use axum::{
    Json, Router,
    extract::{FromRef, FromRequestParts, State},
    http::request::Parts,
    routing::post,
};
use idem_axum::{Idempotency, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    pool: Pool,
}

#[derive(Clone)]
struct Pool;

struct Connection;

impl FromRequestParts<App> for Connection {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let _ = &app.pool;
        Ok(Self)
    }
}

#[idempotent(ttl = "24h", scope = "global")]
async fn pay(
    State(_pool): State<Pool>,
    #[deferred] mut connection: Connection,
    Json(amount): Json<u32>,
) -> Json<u32> {
    let _ = &mut connection;
    Json(amount)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn last(#[deferred] _connection: Connection) -> &'static str {
    "done"
}

fn main() {
    let _: Router<App> = Router::new()
        .route("/pay", post(pay))
        .route("/last", post(last));
}
