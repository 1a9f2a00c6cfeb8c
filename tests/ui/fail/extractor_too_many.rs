use axum::http::Method;
use idem_axum::idempotent;

type M = Method;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(
    _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M, _: M,
    amount: String,
) -> String {
    amount
}

fn main() {}
