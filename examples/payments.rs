//! A payment service whose clients may retry as often as they like.
//!
//! `cargo run --example payments`, then follow what it prints.

#[path = "common/store.rs"]
mod store;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRef, FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    ledger: Ledger,
}

type Ledger = Arc<Mutex<Vec<Payment>>>;

#[derive(Clone, Serialize)]
struct Payment {
    id: usize,
    user: String,
    #[serde(flatten)]
    order: CreatePayment,
}

#[derive(Clone, Serialize, Deserialize)]
struct CreatePayment {
    amount: u64,
    currency: String,
    customer: String,
}

#[idempotent(ttl = "24h", scope = "user")]
async fn create_payment(
    State(ledger): State<Ledger>,
    User(user): User,
    Json(order): Json<CreatePayment>,
) -> Result<impl IntoResponse, PaymentError> {
    if order.amount == 0 {
        return Err(PaymentError::NothingToPay);
    }
    let mut ledger = ledger.lock().await;
    let id = ledger.len() + 1;
    println!("charging {} {}", order.amount, order.currency);
    let payment = Payment { id, user, order };
    ledger.push(payment.clone());
    let location = [(header::LOCATION, format!("/payments/{id}"))];
    Ok((StatusCode::CREATED, location, Json(payment)))
}

async fn list_payments(State(ledger): State<Ledger>, User(user): User) -> Json<Vec<Payment>> {
    let mut payments = ledger.lock().await.clone();
    payments.retain(|payment| payment.user == user);
    Json(payments)
}

#[derive(Debug, thiserror::Error)]
enum PaymentError {
    #[error("the amount must be more than zero")]
    NothingToPay,
}

impl IntoResponse for PaymentError {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, self.to_string()).into_response()
    }
}

/// Demo authentication: `Authorization: Bearer NAME` is the user NAME.
struct User(String);
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let user = bearer(&parts.headers).map(Self);
        user.ok_or((StatusCode::UNAUTHORIZED, "send Authorization: Bearer NAME"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let idempotency = store::idempotency().await?;
    let idempotency = idempotency.scope("user", |parts| bearer(&parts.headers));
    let idempotency = idempotency.build()?;
    let app = Router::new()
        .route("/payments", post(create_payment).get(list_payments))
        .with_state(App {
            idempotency,
            ledger: Ledger::default(),
        });
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let port: u16 = port.parse().map_err(|error| format!("PORT: {error}"))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}/payments", listener.local_addr()?);
    let pay =
        format!("curl -i {url} -H 'Authorization: Bearer ana' -H 'Idempotency-Key: k1' --json");
    println!("listening on {url}\n\nPay, send it again (charged once), change it (409):");
    println!(r#"  {pay} '{{"amount":1250,"currency":"EUR","customer":"c_1"}}'"#);
    println!(r#"  {pay} '{{"customer":"c_1","currency":"EUR","amount":1250}}'"#);
    println!(r#"  {pay} '{{"amount":9999,"currency":"EUR","customer":"c_1"}}'"#);
    axum::serve(listener, app).await?;
    Ok(())
}
