use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(user: dyn ToString, amount: String) -> String {
    amount + &user.to_string()
}

fn main() {}
