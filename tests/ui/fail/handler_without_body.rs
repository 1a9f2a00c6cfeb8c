use idem_axum::idempotent;

trait Shop {
    #[idempotent(ttl = "24h", scope = "user")]
    async fn pay(amount: String) -> String;
}

fn main() {}
