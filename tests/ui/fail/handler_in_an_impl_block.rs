use idem_axum::idempotent;

struct Shop;

#[idempotent(ttl = "24h", scope = "user")]
impl Shop {
    async fn pay(amount: String) -> String {
        amount
    }
}

fn main() {}
