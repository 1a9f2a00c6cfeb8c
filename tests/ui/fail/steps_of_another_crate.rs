use axum::{extract::FromRequestParts, http::request::Parts};
use idem_axum::idempotent;

/// The contract for a flat.
struct Lease;

impl<S: Sync> FromRequestParts<S> for Lease {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Lease)
    }
}

#[idempotent(ttl = "24h", scope = "user")]
async fn sign(lease: Lease, name: String) -> String {
    let _ = lease;
    name
}

fn main() {}
