use idem_axum::idempotent;

struct WebSocketUpgrade;

#[idempotent(ttl = "24h", scope = "user")]
async fn chat(_upgrade: WebSocketUpgrade) -> &'static str {
    "hello"
}

fn main() {}
