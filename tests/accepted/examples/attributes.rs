#![deny(warnings, missing_docs, unreachable_pub)]
#![forbid(unsafe_code, unused_variables, unused_imports, dead_code)]

//! Attributes on the function, and on its arguments.

use axum::{
    Json, Router,
    http::{HeaderMap, Method},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};

/// Documentation
/// of two lines.
#[doc(alias = "charge")]
#[idempotent(ttl = "24h", scope = "global")]
/// and after.
#[must_use]
#[inline]
#[allow(clippy::unused_async, non_snake_case)]
#[cfg_attr(all(), tracing::instrument(skip_all), allow(unused_mut))]
#[cfg_attr(any(), this_does_not_exist)]
pub async fn Documented(Json(mut amount): Json<u32>) -> String {
    format!("{amount}")
}

/// What is expected of the body is expected there alone.
#[idempotent(ttl = "24h", scope = "global")]
#[expect(unused_assignments, reason = "it is about the body")]
pub async fn expected(Json(amount): Json<u32>) -> String {
    let mut text = String::new();
    text = amount.to_string();
    text
}

/// Not there.
#[idempotent(ttl = "24h", scope = "global")]
#[cfg(any())]
pub async fn absent(amount: NoSuchType) -> String {}

/// Not there either.
#[cfg(any())]
#[idempotent(ttl = "24h", scope = "global")]
pub async fn gone(amount: NoSuchType) -> String {}

/// An argument may depend on the configuration: then there are two handlers.
#[idempotent(ttl = "24h", scope = "global")]
pub async fn configured(
    #[cfg(any())] _absent: NoSuchType,
    #[cfg(all())] method: Method,
    #[cfg_attr(all(), deferred)] headers: HeaderMap,
    #[cfg_attr(any(), this_does_not_exist)] Json(amount): Json<u32>,
) -> String {
    format!("{method} {} {amount}", headers.len())
}

/// Lint levels on an argument.
#[idempotent(ttl = "24h", scope = "global")]
pub async fn allowed(#[allow(unused_mut)] mut method: Method, Json(amount): Json<u32>) -> String {
    format!("{method} {amount}")
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/documented", post(Documented))
        .route("/expected", post(expected))
        .route("/configured", post(configured))
        .route("/allowed", post(allowed));
}
