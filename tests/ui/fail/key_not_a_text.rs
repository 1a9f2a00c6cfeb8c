use axum::Json;
use idem_axum::idempotent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Event {
    id: Vec<u8>,
}

#[idempotent(ttl = "24h", scope = "global", key = event.id)]
async fn receive(Json(event): Json<Event>) -> String {
    event.id.len().to_string()
}

fn main() {}
