use axum::Extension;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = uzer.0)]
async fn pay(user: Extension<u64>, amount: String) -> String {
    format!("{} {amount}", user.0)
}

fn main() {}
