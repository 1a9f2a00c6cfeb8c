use axum::{
    Extension, Json, Router,
    extract::{Path, Query},
    http::{HeaderMap, Method},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment {
    amount: u32,
    payee: Payee,
}

#[derive(Serialize, Deserialize)]
struct Payee {
    name: String,
    iban: Option<String>,
}

#[idempotent(ttl = "24h", scope = tenant, key = name, fingerprint = (amount, iban))]
async fn nested(
    Path((tenant, mut order)): Path<(u64, String)>,
    Json(Payment {
        mut amount,
        payee: Payee { name, iban },
    }): Json<Payment>,
) -> String {
    amount += 1;
    order.push('!');
    format!("{tenant} {order} {amount} {name} {iban:?}")
}

#[idempotent(ttl = "24h", scope = whole.0)]
async fn bound(
    whole @ Extension(_): Extension<u64>,
    Query(ref query): Query<Vec<(String, String)>>,
    Path(ref mut path): Path<String>,
    mut headers: HeaderMap,
    _: Method,
    Json(Payment { amount, .. }): Json<Payment>,
) -> String {
    headers.clear();
    path.push('!');
    format!("{} {} {path} {amount}", whole.0, query.len())
}

#[idempotent(ttl = "24h", scope = "global")]
async fn ignored(_: Method, _payment: Json<Payment>) -> &'static str {
    "done"
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/nested/{tenant}/{order}", post(nested))
        .route("/bound/{path}", post(bound))
        .route("/ignored", post(ignored));
}
