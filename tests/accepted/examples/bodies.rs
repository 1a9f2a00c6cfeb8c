use axum::{Form, Json, Router, body::Bytes, extract::RawForm, routing::post};
use idem_axum::{Idempotency, idempotent};

#[idempotent(ttl = "24h", scope = "global")]
async fn form(Form(fields): Form<Vec<(String, String)>>) -> String {
    fields.len().to_string()
}

#[idempotent(ttl = "24h", scope = "global")]
async fn bytes(body: Bytes) -> Bytes {
    body
}

#[idempotent(ttl = "24h", scope = "global")]
async fn raw_form(RawForm(body): RawForm) -> Bytes {
    body
}

#[idempotent(ttl = "24h", scope = "global")]
async fn maybe(body: Option<Json<u32>>) -> String {
    body.is_some().to_string()
}

// Another name does not hide a payload: the type is what counts.
type Renamed<T> = Json<T>;

#[idempotent(ttl = "24h", scope = "global")]
async fn renamed(Json(amount): Renamed<u32>) -> Json<u32> {
    Json(amount)
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/form", post(form))
        .route("/bytes", post(bytes))
        .route("/raw-form", post(raw_form))
        .route("/maybe", post(maybe))
        .route("/renamed", post(renamed));
}
