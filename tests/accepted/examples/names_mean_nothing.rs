use std::convert::Infallible;

use axum::{Router, extract::FromRequestParts, http::request::Parts, routing::post};
use idem_axum::{Idempotency, idempotent};

// Names of well-known extractors on types that come from the head alone: what
// counts is what a type implements, so any order will do, and none is refused.
macro_rules! head {
    ($($name:ident)*) => {$(
        struct $name;

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Infallible;

            async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
                Ok(Self)
            }
        }
    )*};
}
head! { Json Form Bytes Request Body Multipart State Path Option Sse }

#[idempotent(ttl = "24h", scope = "global")]
async fn heads(
    _: Json,
    _: Form,
    _: Bytes,
    _: Request,
    _: Body,
    _: State,
    _: Multipart,
) -> &'static str {
    "done"
}

#[idempotent(ttl = "24h", scope = "global")]
async fn more(#[deferred] _json: Json, _: Path, _: Option, _: Sse) -> &'static str {
    "done"
}

// And another name for a payload.
type Body2<T> = axum::Json<T>;
use axum::Json as State2;

#[idempotent(ttl = "24h", scope = "global", key = amount)]
async fn alias(axum::Json(amount): Body2<u32>) -> axum::Json<u32> {
    axum::Json(amount)
}

#[idempotent(ttl = "24h", scope = "global", key = amount)]
async fn renamed(State2(amount): State2<u32>) -> State2<u32> {
    State2(amount)
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/heads", post(heads))
        .route("/more", post(more))
        .route("/alias", post(alias))
        .route("/renamed", post(renamed));
}
