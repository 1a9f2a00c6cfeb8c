//! The handlers, amidst all the names that are taken.

#[allow(unused_imports, reason = "that nothing needs them is the point")]
use crate::taken::*;
use crate::{App, app::Order, taken};

#[::idem_axum::idempotent(ttl = "24h", scope = "global")]
async fn order(State(app): State, Json(order): Json<Order>) -> Response {
    Response(app.happen(), order.id)
}

#[::idem_axum::idempotent(
    ttl = "24h",
    scope = r#gen,
    key = id,
    fingerprint = (id, r#gen),
    lease = "10s",
    wait = "1s",
    max_response = "1KiB",
    crate = ::idem_axum,
)]
async fn r#match(
    #[deferred] mut late: State,
    ::axum::extract::Path(mut r#gen): ::axum::extract::Path<u32>,
    Json(Order { ref id, mut amount }): Json<Order>,
) -> taken::Result {
    late.0 = ::std::clone::Clone::clone(&late.0);
    amount += 1;
    r#gen += 1;
    let text = ::std::format!("{id}, {amount} of generation {gen}");
    taken::Result::Some(Response(late.0.happen(), text))
}

#[::idem_axum::idempotent(ttl = "24h", scope = "global", fingerprint = "raw")]
async fn opaque(
    State(app): State,
    body: ::axum::body::Bytes,
) -> impl ::axum::response::IntoResponse {
    let text = ::std::format!("{} bytes", body.len());
    Response(app.happen(), text)
}

/// In an `impl` block, and with a `?`.
struct Shop;

impl Shop {
    const FEE: u32 = 2;

    #[::idem_axum::idempotent(ttl = "24h", scope = "global")]
    async fn order(
        State(app): State,
        Json(order): Json<Order>,
    ) -> ::std::result::Result<Response, ::axum::http::StatusCode> {
        let amount = order.amount.checked_sub(Self::FEE);
        let amount = amount.ok_or(::axum::http::StatusCode::PAYMENT_REQUIRED)?;
        ::std::result::Result::Ok(Response(app.happen(), ::std::format!("{amount}")))
    }
}

/// All of them.
pub fn router() -> ::axum::Router<App> {
    use ::axum::routing::post;

    ::axum::Router::new()
        .route("/order", post(order))
        .route("/match/{gen}", post(r#match))
        .route("/opaque", post(opaque))
        .route("/shop/order", post(Shop::order))
}
