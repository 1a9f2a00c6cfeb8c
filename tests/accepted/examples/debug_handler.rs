use axum::{
    Json, Router, debug_handler,
    extract::{FromRef, State},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    name: &'static str,
}

#[debug_handler(state = App)]
#[idempotent(ttl = "24h", scope = "global")]
async fn above(State(name): State<&'static str>, Json(amount): Json<u32>) -> String {
    format!("{name} {amount}")
}

#[idempotent(ttl = "24h", scope = "global")]
#[debug_handler(state = App)]
async fn below(State(name): State<&'static str>, Json(amount): Json<u32>) -> String {
    format!("{name} {amount}")
}

// It takes the state from the argument.
#[idempotent(ttl = "24h", scope = "global")]
#[debug_handler]
async fn inferred(State(app): State<App>, Json(amount): Json<u32>) -> String {
    format!("{} {amount}", app.name)
}

#[idempotent(ttl = "24h", scope = "global")]
#[cfg_attr(all(), axum::debug_handler(state = App))]
async fn conditional(
    #[deferred] State(name): State<&'static str>,
    Json(amount): Json<u32>,
) -> String {
    format!("{name} {amount}")
}

struct Shop;

impl Shop {
    #[idempotent(ttl = "24h", scope = "global")]
    #[tracing::instrument(skip_all)]
    async fn pay(Json(amount): Json<u32>) -> String {
        amount.to_string()
    }
}

fn main() {
    let _: Router<App> = Router::new()
        .route("/above", post(above))
        .route("/below", post(below))
        .route("/inferred", post(inferred))
        .route("/conditional", post(conditional))
        .route("/shop", post(Shop::pay));
}
