use axum::{
    Json, Router,
    extract::{FromRequest, Request, rejection::JsonRejection},
    routing::post,
};
use idem_axum::{FingerprintBody, FingerprintBuilder, FingerprintError, Idempotency, idempotent};

/// A wrapper around any payload: its fingerprint is the payload's.
struct Checked<B>(B);

impl<B: FromRequest<S>, S: Send + Sync> FromRequest<S> for Checked<B> {
    type Rejection = B::Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, B::Rejection> {
        B::from_request(request, state).await.map(Self)
    }
}

impl<B: FingerprintBody> FingerprintBody for Checked<B> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        self.0.fingerprint(to)
    }
}

#[idempotent(ttl = "24h", scope = "global")]
async fn wrapped(Checked(Json(amount)): Checked<Json<u32>>) -> String {
    amount.to_string()
}

/// Without a fingerprint of its own the author says what it is.
struct Amount(u32);

impl<S: Send + Sync> FromRequest<S> for Amount {
    type Rejection = JsonRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, JsonRejection> {
        Json::from_request(request, state)
            .await
            .map(|Json(amount)| Self(amount))
    }
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = amount)]
async fn expression(Amount(amount): Amount) -> String {
    amount.to_string()
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = "raw")]
async fn raw(Amount(amount): Amount) -> String {
    amount.to_string()
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/wrapped", post(wrapped))
        .route("/expression", post(expression))
        .route("/raw", post(raw));
}
