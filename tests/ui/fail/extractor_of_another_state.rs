use std::convert::Infallible;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use idem_axum::{Idempotency, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

struct Admin;

struct Connection;

impl FromRequestParts<Admin> for Connection {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &Admin) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

#[idempotent(ttl = "24h", scope = "user", state = App)]
async fn pay(#[deferred] _connection: Connection, amount: String) -> String {
    amount
}

fn main() {}
