//! What one would write by hand: `SET NX`, the handler, `SET`; and `GET` for a duplicate. Two round
//! trips, no owner, no lease, no fence, no fingerprint.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, ExistenceCheck, RedisResult, SetExpiry,
    SetOptions, aio::MultiplexedConnection,
};
use tokio::time::sleep;

use super::{Executions, PATIENCE, Service, Stored, WORK};
use crate::{error::Error, order::Order};

const DAY: u64 = 24 * 60 * 60;
/// What stands there until the answer does.
const RUNNING: &[u8] = b"running";

#[derive(Clone)]
struct App {
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

/// Whether the key is ours.
async fn claim(redis: &mut MultiplexedConnection, key: &str) -> RedisResult<bool> {
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .with_expiration(SetExpiry::EX(DAY));
    let set: Option<String> = redis.set_options(key, RUNNING, options).await?;
    Ok(set.is_some())
}

async fn once(
    mut app: App,
    headers: &HeaderMap,
    work: impl Future<Output = Order>,
) -> Result<Response, Failed> {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .ok_or_else(|| Failed("no key".to_owned()))?;
    let key = format!("by-hand:{key}");
    if claim(&mut app.redis, &key).await? {
        app.executions.count();
        let answer = serde_json::to_vec(&work.await)?;
        app.redis.set_ex::<_, _, ()>(&key, &answer, DAY).await?;
        return Ok(json(answer));
    }
    let answer: Vec<u8> = app.redis.get(&key).await?;
    Ok(if answer == RUNNING {
        StatusCode::CONFLICT.into_response()
    } else {
        json(answer)
    })
}

fn json(answer: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

async fn order(
    State(app): State<App>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Failed> {
    once(app, &headers, async { order }).await
}

async fn slow(
    State(app): State<App>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Failed> {
    once(app, &headers, async {
        sleep(WORK).await;
        order
    })
    .await
}

pub(super) async fn serve(url: &str) -> Result<Service, Error> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let executions = Executions::default();
    let app = App {
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
