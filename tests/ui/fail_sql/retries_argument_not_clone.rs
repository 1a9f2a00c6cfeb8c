use axum::{extract::FromRequestParts, http::request::Parts};
use idem_axum::{Sqlite, Tx, idempotent};

struct User;

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(User)
    }
}

#[idempotent(ttl = "24h", scope = "user", retries = 3)]
async fn pay(user: User, tx: Tx<Sqlite>) -> Result<String, axum::extract::rejection::JsonRejection> {
    let _ = (user, tx);
    Ok(String::new())
}

fn main() {}
