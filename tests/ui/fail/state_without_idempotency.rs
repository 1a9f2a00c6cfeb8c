use axum::extract::State;
use idem_axum::idempotent;

#[derive(Clone)]
struct AppState {
    bank: &'static str,
}

#[idempotent(ttl = "24h", scope = "user", state = AppState)]
async fn pay(State(app): State<AppState>, amount: String) -> String {
    app.bank.to_owned() + &amount
}

fn main() {}
