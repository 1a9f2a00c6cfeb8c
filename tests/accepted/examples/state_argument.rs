use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, State},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};

struct Inner {
    idempotency: Idempotency,
}

/// `Arc<Inner>` is not ours to implement a trait for.
#[derive(Clone)]
struct AppState(Arc<Inner>);

impl FromRef<AppState> for Idempotency {
    fn from_ref(state: &AppState) -> Self {
        state.0.idempotency.clone()
    }
}

impl FromRef<AppState> for Arc<Inner> {
    fn from_ref(state: &AppState) -> Self {
        Arc::clone(&state.0)
    }
}

#[idempotent(ttl = "24h", scope = "global", state = AppState)]
async fn shared(State(inner): State<Arc<Inner>>, amount: String) -> String {
    format!("{:?} {amount}", inner.idempotency)
}

#[idempotent(ttl = "24h", scope = "global", state = Idempotency)]
async fn the_runtime_itself(amount: String) -> String {
    amount
}

#[derive(Clone)]
struct Generic<T> {
    idempotency: Idempotency,
    _rest: T,
}

impl<T> FromRef<Generic<T>> for Idempotency {
    fn from_ref(state: &Generic<T>) -> Self {
        state.idempotency.clone()
    }
}

#[idempotent(ttl = "24h", scope = "global", state = Generic<Vec<u8>>)]
async fn generic(amount: String) -> String {
    amount
}

fn main() {
    let _: Router<AppState> = Router::new().route("/", post(shared));
    let _: Router<Idempotency> = Router::new().route("/", post(the_runtime_itself));
    let _: Router<Generic<Vec<u8>>> = Router::new().route("/", post(generic));
}
