use idem_axum::idempotent;

const KEY: &str = "the one key";

#[idempotent(ttl = "24h", scope = "user", key = KEY)]
async fn pay(amount: String) -> String {
    amount
}

fn main() {}
