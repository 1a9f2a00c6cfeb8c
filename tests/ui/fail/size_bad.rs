use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", max_response = "1 mib")]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
