use axum::{Json, Router, routing::post};
use idem_axum::{Idempotency, idempotent};

struct Shop;

impl Shop {
    const FEE: u32 = 1;

    #[idempotent(ttl = "24h", scope = "global")]
    pub async fn pay(Json(amount): Json<u32>) -> Json<u32> {
        Json(amount + Self::FEE)
    }
}

fn main() {
    #[idempotent(ttl = "24h", scope = "global")]
    async fn inside(Json(mut amount): Json<u32>) -> Json<u32> {
        amount += 1;
        Json(amount)
    }

    let _: Router<Idempotency> = Router::new()
        .route("/shop", post(Shop::pay))
        .route("/inside", post(inside));
}
