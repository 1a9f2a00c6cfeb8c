use axum::{Router, routing::post};
use idem_axum::Steps;

#[axum::debug_handler]
async fn pay(steps: Steps, amount: String) -> String {
    let _ = steps;
    amount
}

fn main() {
    let _: Router = Router::new().route("/", post(pay));
}
