use idem_axum::idempotent;

#[idempotent(ttl = "24 hous", scope = "user", lease = 10, wait = "1h")]
async fn pay(amount: String) -> String {
    amount
}

#[idempotent(ttl = "500ms", scope = "user")]
async fn too_short(amount: String) -> String {
    amount
}

#[idempotent(ttl = "500d", scope = "user")]
async fn too_long(amount: String) -> String {
    amount
}

fn main() {}
