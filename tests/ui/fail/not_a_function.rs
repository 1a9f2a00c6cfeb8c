use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
struct Payment;

fn main() {}
