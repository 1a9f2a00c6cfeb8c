use std::borrow::Cow;

use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay<'a>(amount: Cow<'a, str>) -> String {
    amount.into_owned()
}

fn main() {}
