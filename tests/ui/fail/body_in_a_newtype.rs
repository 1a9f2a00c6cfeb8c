use axum::{
    Json,
    extract::{FromRequest, Request, rejection::JsonRejection},
};
use idem_axum::idempotent;

struct Amount(u32);

impl<S: Send + Sync> FromRequest<S> for Amount {
    type Rejection = JsonRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, JsonRejection> {
        Json::from_request(request, state).await.map(|Json(amount)| Self(amount))
    }
}

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(Amount(amount): Amount) -> String {
    amount.to_string()
}

fn main() {}
