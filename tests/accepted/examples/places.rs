use axum::{Json, Router, routing::post};
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};

pub struct Shop;

impl Shop {
    const FEE: u32 = 1;

    /// It names `Self`, so it stays in the block.
    #[idempotent(ttl = "24h", scope = "global")]
    pub async fn pay(Json(amount): Json<u32>) -> Json<u32> {
        Json(amount + Self::FEE)
    }

    #[idempotent(ttl = "24h", scope = "global")]
    async fn refund(Json(amount): Json<u32>) -> Json<u32> {
        struct Inner;
        impl Inner {
            fn new() -> Self {
                Self
            }
        }
        let Inner = Inner::new();
        Json(amount)
    }
}

#[derive(Serialize, Deserialize)]
pub struct Order {
    amount: u32,
}

impl Order {
    #[idempotent(ttl = "24h", scope = "global", key = order.amount)]
    async fn place(Json(order): Json<Self>) -> Json<Self> {
        Json(order)
    }
}

pub mod outer {
    pub mod inner {
        use super::super::*;

        #[idempotent(ttl = "24h", scope = "global")]
        pub(in crate::outer) async fn hidden(amount: String) -> String {
            amount
        }

        #[idempotent(ttl = "24h", scope = "global")]
        pub(super) async fn above(amount: String) -> String {
            amount
        }

        #[idempotent(ttl = "24h", scope = "global")]
        pub(crate) async fn everywhere(amount: String) -> String {
            helper(amount)
        }

        fn helper(amount: String) -> String {
            amount
        }
    }

    pub fn routes() -> super::Router<super::Idempotency> {
        super::Router::new()
            .route("/hidden", super::post(inner::hidden))
            .route("/above", super::post(inner::above))
    }
}

fn main() {
    #[idempotent(ttl = "24h", scope = "global")]
    async fn inside(Json(mut amount): Json<u32>) -> Json<u32> {
        amount += 1;
        Json(amount)
    }

    let _: Router<Idempotency> = Router::new()
        .route("/pay", post(Shop::pay))
        .route("/refund", post(Shop::refund))
        .route("/order", post(Order::place))
        .route("/everywhere", post(outer::inner::everywhere))
        .route("/inside", post(inside))
        .merge(outer::routes());
}
