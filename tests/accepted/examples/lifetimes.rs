use std::borrow::Cow;

use axum::{Extension, Json, Router, response::Html, routing::post};
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment<'a> {
    note: Cow<'a, str>,
}

#[idempotent(ttl = "24h", scope = "global", key = payment.note)]
async fn left_out(Json(payment): Json<Payment<'_>>) -> String {
    payment.note.into_owned()
}

#[idempotent(ttl = "24h", scope = "global")]
async fn given(
    Extension(name): Extension<&'static str>,
    Extension(greet): Extension<fn(&str) -> String>,
    Json(text): Json<Cow<'static, str>>,
) -> Cow<'static, str> {
    Cow::Owned(format!("{name} {} {text}", greet(name)))
}

#[idempotent(ttl = "24h", scope = "global")]
async fn of_a_reference(Extension(name): Extension<&str>, _: String) -> Html<&'static str> {
    let _: &str = name;
    Html("done")
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/left-out", post(left_out))
        .route("/given", post(given))
        .route("/reference", post(of_a_reference));
}
