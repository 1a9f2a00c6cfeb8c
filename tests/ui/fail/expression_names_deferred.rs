use axum::extract::Path;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = tenant)]
async fn pay(#[deferred] Path(tenant): Path<String>, amount: String) -> String {
    tenant + &amount
}

fn main() {}
