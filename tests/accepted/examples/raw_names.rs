use axum::{Json, Router, routing::post};
use idem_axum::{Idempotency, idempotent};

#[idempotent(ttl = "24h", scope = r#in.0, r#key = r#type)]
async fn r#match(r#in: axum::Extension<u64>, Json(r#type): Json<u32>) -> String {
    format!("{} {}", r#in.0, r#type)
}

struct Shop;

impl Shop {
    #[idempotent(ttl = "24h", scope = "global")]
    async fn r#move(_: String) -> String {
        let _: Self = Self;
        String::new()
    }
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/match", post(r#match))
        .route("/move", post(Shop::r#move));
}
