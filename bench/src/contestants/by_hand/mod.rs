//! What one would write by hand over Redis, in two round trips.

mod fenced;
mod naive;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tokio::time::sleep;

use super::{Executions, PATIENCE, Service, Stored, WORK};
use crate::{error::Error, order::Order};

const DAY: u64 = 24 * 60 * 60;

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Naive,
    Fenced,
}

#[derive(Clone)]
struct App {
    way: Way,
    redis: MultiplexedConnection,
    executions: Executions,
}

struct Failed(String);

impl From<redis::RedisError> for Failed {
    fn from(error: redis::RedisError) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failed {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

fn json(answer: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

fn conflict() -> Response {
    StatusCode::CONFLICT.into_response()
}

async fn once(
    app: App,
    headers: &HeaderMap,
    order: Order,
    work: impl AsyncFnOnce(Order) -> Order,
) -> Result<Response, Failed> {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .ok_or_else(|| Failed("no key".to_owned()))?;
    let key = format!("by-hand:{key}");
    match app.way {
        Way::Naive => naive::once(app, &key, order, work).await,
        Way::Fenced => fenced::once(app, &key, order, work).await,
    }
}

async fn order(
    State(app): State<App>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Failed> {
    once(app, &headers, order, async |order| order).await
}

async fn slow(
    State(app): State<App>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Failed> {
    let work = async |order| {
        sleep(WORK).await;
        order
    };
    once(app, &headers, order, work).await
}

pub(super) async fn serve(way: Way, url: &str) -> Result<Service, Error> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let executions = Executions::default();
    let app = App {
        way,
        redis: Client::open(url)?
            .get_multiplexed_async_connection_with_config(&config)
            .await?,
        executions: executions.clone(),
    };
    Ok(Service {
        router: Router::new()
            .route("/orders", post(order))
            .route("/slow", post(slow))
            .with_state(app),
        executions,
        stored: Stored::Elsewhere,
    })
}
