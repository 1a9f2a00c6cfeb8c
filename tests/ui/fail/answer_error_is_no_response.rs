use std::num::ParseIntError;

use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: String) -> Result<Json<u32>, ParseIntError> {
    amount.parse().map(Json)
}

fn main() {}
