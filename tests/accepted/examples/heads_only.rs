use axum::{
    Router,
    extract::{FromRequestParts, Path, Query},
    http::{HeaderMap, request::Parts},
    routing::{delete, post},
};
use idem_axum::{Idempotency, idempotent};

struct Custom;

impl<S: Send + Sync> FromRequestParts<S> for Custom {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

// What comes from the head alone has no payload to leave out.
#[idempotent(ttl = "24h", scope = "global")]
async fn cancel(headers: HeaderMap, Path(id): Path<u64>) -> String {
    format!("{id} {}", headers.len())
}

#[idempotent(ttl = "24h", scope = "global")]
async fn custom(Query(_): Query<Vec<(String, String)>>, _: Custom) -> &'static str {
    "done"
}

#[idempotent(ttl = "24h", scope = "global")]
async fn nothing() -> &'static str {
    "done"
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/orders/{id}", delete(cancel))
        .route("/custom", post(custom))
        .route("/nothing", post(nothing));
}
