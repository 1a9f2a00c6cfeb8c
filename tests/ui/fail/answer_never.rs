use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(_amount: String) -> ! {
    std::process::abort()
}

fn main() {}
