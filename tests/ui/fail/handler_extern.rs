use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async extern "C" fn pay(amount: String) -> String {
    amount
}

fn main() {}
