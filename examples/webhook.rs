//! A receiver of [Standard Webhooks](https://www.standardwebhooks.com/): their sender delivers an
//! event again until it is answered with 2xx, and here each has one effect all the same.
//!
//! `cargo run --example webhook`, then follow what it prints.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PORT` | where to listen on 127.0.0.1; 0 is any | 3000 |
//! | `IDEM_STORE` | where the records are, see `examples/common/store.rs` | `memory` |
//! | `WEBHOOK_SECRET` | the secret shared with the sender, `whsec_` and base64 | one for demos |
//!
//! The extractor [`Event`] verifies the signature, and extractors run before anything is claimed: what
//! is unsigned, forged or old is answered with 401, and burns no key. The key is the `webhook-id`, and
//! the fingerprint the payload alone, so a delivery with a new timestamp and signature is a retry.

#[path = "webhook/demo.rs"]
mod demo;
#[path = "webhook/signature.rs"]
mod signature;
#[path = "common/store.rs"]
mod store;

use std::{env, sync::Arc};

use axum::{
    Json, Router,
    extract::{FromRef, FromRequest, Request, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use idem_axum::{FingerprintBody, FingerprintBuilder, FingerprintError, Idempotency, idempotent};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use crate::signature::{Secret, Unproven};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    secret: Secret,
    deposits: Deposits,
}

type Deposits = Arc<Mutex<Vec<Deposit>>>;

#[derive(Clone, Serialize, Deserialize)]
struct Deposit {
    account: String,
    amount: u64,
}

/// One secret is one sender, whose ids are its own; with several senders, `scope = event.sender`. A
/// delivery that arrives while an earlier one is at work waits for its answer.
#[idempotent(ttl = "7d", scope = "global", key = event.id, wait = "5s")]
async fn receive(State(deposits): State<Deposits>, event: Event<Deposit>) -> String {
    println!(
        "crediting {} {}",
        event.payload.account, event.payload.amount
    );
    let mut deposits = deposits.lock().await;
    deposits.push(event.payload);
    format!("deposit {}\n", deposits.len())
}

async fn list_deposits(State(deposits): State<Deposits>) -> Json<Vec<Deposit>> {
    Json(deposits.lock().await.clone())
}

/// What the holder of the secret has signed, a short time ago.
struct Event<T> {
    id: String,
    payload: T,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Event<T>
where
    Secret: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await?;
        let id = Secret::from_ref(state).verify(&headers, &body)?;
        let payload = serde_json::from_slice(&body)?;
        Ok(Self { id, payload })
    }
}

impl<T: Serialize> FingerprintBody for Event<T> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.typed(&self.payload).map(|_| ())
    }
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Unproven(#[from] Unproven),
    #[error("the event is genuine, but not understood: {0}")]
    Payload(#[from] serde_json::Error),
    #[error(transparent)]
    Body(#[from] BytesRejection),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unproven(_) => StatusCode::UNAUTHORIZED,
            Self::Payload(_) => StatusCode::BAD_REQUEST,
            Self::Body(rejection) => return rejection.into_response(),
        };
        (status, format!("{self}\n")).into_response()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = env::var("WEBHOOK_SECRET").unwrap_or(demo::SECRET.to_owned());
    let secret = Secret::parse(&secret).map_err(|error| format!("WEBHOOK_SECRET: {error}"))?;
    let app = App {
        idempotency: store::idempotency().await?.build()?,
        secret,
        deposits: Deposits::default(),
    };
    let port = env::var("PORT").unwrap_or("3000".to_owned());
    let port: u16 = port.parse().map_err(|error| format!("PORT: {error}"))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}/webhooks", listener.local_addr()?);
    println!("listening on {url}");
    if env::var_os("WEBHOOK_SECRET").is_none() {
        demo::print(&url, &app.secret);
    }
    let router = Router::new().route("/webhooks", post(receive).get(list_deposits));
    axum::serve(listener, router.with_state(app)).await?;
    Ok(())
}
