use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "soon", scopes = "user", record = "al")]
fn pay(Json(amount): Json<u32>, raw: String) {
    drop((amount, raw));
}

fn main() {}
