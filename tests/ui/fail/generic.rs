use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay<T: AsRef<str>>(amount: T) -> String {
    amount.as_ref().to_owned()
}

fn main() {}
