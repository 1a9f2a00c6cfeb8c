use axum::{
    Json,
    extract::{FromRequest, Request},
};
use idem_axum::idempotent;

struct Checked<B>(B);

impl<B: FromRequest<S>, S: Send + Sync> FromRequest<S> for Checked<B> {
    type Rejection = B::Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, B::Rejection> {
        B::from_request(request, state).await.map(Self)
    }
}

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(Checked(Json(amount)): Checked<Json<u32>>) -> String {
    amount.to_string()
}

fn main() {}
