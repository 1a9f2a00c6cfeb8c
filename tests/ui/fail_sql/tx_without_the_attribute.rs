use axum::{Router, routing::post};
use idem_axum::{Sqlite, Tx};

async fn pay(tx: Tx<Sqlite>) -> &'static str {
    let _ = tx;
    "paid"
}

fn main() {
    let _: Router = Router::new().route("/", post(pay));
}
