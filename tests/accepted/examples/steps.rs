use axum::{Json, Router, extract::FromRef, http::StatusCode, routing::post};
use idem_axum::{Idempotency, Lease, MemoryStore, StepError, Steps, idempotent};

/// As it is written in most handlers.
#[idempotent(ttl = "24h", scope = "global")]
async fn first(steps: Steps, Json(amount): Json<u64>) -> Result<Json<u64>, ApiError> {
    let doubled = steps
        .run("double", || async move { Ok(2 * amount) })
        .await?;
    Ok(Json(doubled))
}

/// Anywhere, by a path, together, and last.
#[idempotent(ttl = "24h", scope = "global", key = "optional")]
async fn last(
    lease: idem_axum::Lease,
    again: Steps,
    idem_axum::Steps { .. }: idem_axum::Steps,
) -> String {
    let fence = lease.fence().map_or(0, |fence| fence.get());
    format!("{} {} {fence}", again.attempt(), again.key("x"))
}

#[idempotent(ttl = "24h", scope = "global", on_crash = "refuse")]
async fn alone(lease: Lease) -> StatusCode {
    tokio::select! {
        () = lease.lost() => StatusCode::SERVICE_UNAVAILABLE,
        () = async {} => StatusCode::OK,
    }
}

#[derive(Debug)]
struct ApiError;

impl From<StepError<std::convert::Infallible>> for ApiError {
    fn from(_: StepError<std::convert::Infallible>) -> Self {
        Self
    }
}

impl axum::response::IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

fn main() {
    let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
    let _: Router = Router::new()
        .route("/first", post(first))
        .route("/last", post(last))
        .route("/alone", post(alone))
        .with_state(App { idempotency });
}
