use idem_axum::{Lease, Steps, idempotent};

#[idempotent(ttl = "24h", scope = "user")]
async fn deferred(#[deferred] steps: Steps, amount: String) -> String {
    let _ = steps;
    amount
}

#[idempotent(ttl = "24h", scope = "user", key = lease.attempt())]
async fn named(lease: Lease, amount: String) -> String {
    let _ = lease;
    amount
}

fn main() {}
