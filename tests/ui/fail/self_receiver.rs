use idem_axum::idempotent;

struct Shop;

impl Shop {
    #[idempotent(ttl = "24h", scope = "user")]
    async fn pay(&self, amount: String) -> String {
        amount
    }
}

fn main() {}
