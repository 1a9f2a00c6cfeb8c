use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(user: Option<impl ToString>, amount: impl Into<String>) -> String {
    amount.into() + &user.map(|user| user.to_string()).unwrap_or_default()
}

fn main() {}
