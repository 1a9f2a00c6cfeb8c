use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "global", key = event, header = "X-Event-Id")]
async fn receive(Json(event): Json<String>) -> String {
    event
}

fn main() {}
