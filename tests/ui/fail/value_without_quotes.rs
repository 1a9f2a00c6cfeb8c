use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", on_crash = refuse)]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
