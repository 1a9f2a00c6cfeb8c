use axum::{Json, Router, extract::FromRef, routing::post};
use idem_axum::{Idempotency, MemoryStore, idempotent};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

#[idempotent(ttl = "24h", scope = "global")]
async fn pay(Json(amount): Json<u32>) -> Json<u32> {
    Json(amount)
}

fn main() {
    let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
    let _: Router = Router::new()
        .route("/pay", post(pay))
        .with_state(App { idempotency });
}
