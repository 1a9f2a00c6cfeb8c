use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use idem_axum::idempotent;

struct Tx<Db>(Db);

impl<S: Sync> FromRequestParts<S> for Tx<u8> {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Tx(1))
    }
}

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(tx: Tx<u8>) -> &'static str {
    let _ = tx.0;
    "paid"
}

fn main() {}
