use axum::extract::{Path, Query};
use idem_axum::idempotent;

struct Id(u64);

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(Path(id): Path<Id>, Query(from): Query<Id>, amount: String) -> String {
    format!("{} {} {amount}", id.0, from.0)
}

fn main() {}
