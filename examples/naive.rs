//! **What not to do**: a payment service with the idempotency that everybody writes first.
//!
//! Look the key up; if it is not there, charge and remember the answer. It works at the desk. Start it
//! and hammer it, and see what that does to money:
//!
//! ```sh
//! cargo run --example naive
//! cargo run -p idem-cli -- hammer http://127.0.0.1:3000/payments \
//!     -H 'Authorization: Bearer alice' --other-header 'Authorization: Bearer bob' \
//!     --data '{"amount":1250,"currency":"EUR","customer":"c_1"}' \
//!     --effects-url http://127.0.0.1:3000/payments
//! ```
//!
//! What is wrong with it, each of which `examples/payments.rs` has right:
//!
//! - *Check, then set.* Between the two is an `await`, and whoever arrives meanwhile charges too.
//! - *Nobody compares payloads.* Another amount under the same key gets the first one's answer.
//! - *The key is nobody's.* Another user's request under the same key gets the first user's payment.
//! - *A client that hangs up takes the handler with it*: charged, and nothing remembered.
//! - *Any key will do, and none as well.*

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::sleep};

#[derive(Clone, Default)]
struct App {
    /// The answers that have been given, by the client's key.
    answers: Arc<Mutex<HashMap<String, Payment>>>,
    ledger: Arc<Mutex<Vec<Payment>>>,
}

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

async fn create_payment(
    State(app): State<App>,
    User(user): User,
    headers: HeaderMap,
    Json(order): Json<CreatePayment>,
) -> Response {
    let key = headers.get("idempotency-key");
    let key = key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    if let Some(key) = &key
        && let Some(before) = app.answers.lock().await.get(key)
    {
        return created(before.clone());
    }
    let payment = charge(&app, user, order).await;
    if let Some(key) = key {
        app.answers.lock().await.insert(key, payment.clone());
    }
    created(payment)
}

/// Asks a bank that is some milliseconds away.
async fn charge(app: &App, user: String, order: CreatePayment) -> Payment {
    sleep(Duration::from_millis(5)).await;
    let payment = {
        let mut ledger = app.ledger.lock().await;
        let id = ledger.len() + 1;
        println!("charging {} {}", order.amount, order.currency);
        let payment = Payment { id, user, order };
        ledger.push(payment.clone());
        payment
    };
    sleep(Duration::from_millis(5)).await;
    payment
}

fn created(payment: Payment) -> Response {
    let location = [(header::LOCATION, format!("/payments/{}", payment.id))];
    (StatusCode::CREATED, location, Json(payment)).into_response()
}

async fn list_payments(State(app): State<App>, User(user): User) -> Json<Vec<Payment>> {
    let mut payments = app.ledger.lock().await.clone();
    payments.retain(|payment| payment.user == user);
    Json(payments)
}

/// Demo authentication: `Authorization: Bearer NAME` is the user NAME.
struct User(String);

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let value = parts.headers.get(header::AUTHORIZATION);
        let name = value
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let user = name.map(|name| Self(name.to_owned()));
        user.ok_or((StatusCode::UNAUTHORIZED, "send Authorization: Bearer NAME"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new()
        .route("/payments", post(create_payment).get(list_payments))
        .with_state(App::default());
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let port: u16 = port.parse().map_err(|error| format!("PORT: {error}"))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}/payments", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
