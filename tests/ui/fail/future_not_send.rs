use std::rc::Rc;

use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: String) -> String {
    let fee = Rc::new(1);
    std::future::ready(()).await;
    format!("{amount} {fee}")
}

fn main() {}
