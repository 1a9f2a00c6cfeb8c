//! The handler alone.

use axum::{Json, Router, extract::State, routing::post};
use tokio::time::sleep;

use super::{Executions, Service, Stored, WORK};
use crate::order::Order;

pub(super) fn serve() -> Service {
    let executions = Executions::default();
    Service {
        router: routes(executions.clone()),
        executions,
        stored: Stored::Elsewhere,
    }
}

/// As they are, for others to put a layer around them.
pub(super) fn routes(executions: Executions) -> Router {
    Router::new()
        .route("/orders", post(order))
        .route("/slow", post(slow))
        .with_state(executions)
}

async fn order(State(executions): State<Executions>, Json(order): Json<Order>) -> Json<Order> {
    executions.count();
    Json(order)
}

async fn slow(State(executions): State<Executions>, Json(order): Json<Order>) -> Json<Order> {
    executions.count();
    sleep(WORK).await;
    Json(order)
}
