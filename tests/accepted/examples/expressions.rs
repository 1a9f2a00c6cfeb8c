use axum::{Extension, Json, Router, extract::Path, http::HeaderMap, routing::post};
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "shop";

#[derive(Clone)]
struct User {
    id: u64,
}

impl User {
    fn tenant(&self) -> &str {
        "acme"
    }
}

#[derive(Serialize, Deserialize)]
struct Order {
    id: String,
    lines: Vec<u32>,
}

fn first(lines: &[u32]) -> u32 {
    lines.first().copied().unwrap_or_default()
}

#[idempotent(ttl = "24h", scope = user.tenant(), key = order.id.as_str(), fingerprint = (&order.lines, PREFIX))]
async fn fields_and_methods(Extension(user): Extension<User>, Json(order): Json<Order>) -> String {
    format!("{} {}", user.id, order.lines.len())
}

#[idempotent(ttl = "24h", scope = format!("{PREFIX}/{user}"), key = { let id = &order.id; id.trim() })]
async fn blocks_and_macros(Path(user): Path<u64>, Json(order): Json<Order>) -> String {
    format!("{user} {}", order.id)
}

#[idempotent(
    ttl = "24h",
    scope = headers.get("x-tenant").and_then(|value| value.to_str().ok()).unwrap_or_default(),
    key = first(&order.lines),
    fingerprint = order.lines.iter().sum::<u32>(),
)]
async fn calls(headers: HeaderMap, Json(order): Json<Order>) -> String {
    format!("{} {}", headers.len(), order.id)
}

#[idempotent(ttl = "24h", scope = if *admin { "admin" } else { "user" })]
async fn conditions(Extension(admin): Extension<bool>, Json(_): Json<Order>) -> String {
    admin.to_string()
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/fields", post(fields_and_methods))
        .route("/blocks/{user}", post(blocks_and_macros))
        .route("/calls", post(calls))
        .route("/conditions", post(conditions));
}
