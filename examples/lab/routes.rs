//! One route for each way in which a handler can be protected.

use std::{io, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use idem_axum::{BuildError, IdempotencyLayer, idempotent};
use serde_json::json;

use crate::{Lab, caller::Caller, effects::Effects, order::Order};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn router(lab: Lab) -> Result<Router, BuildError> {
    let layer = IdempotencyLayer::builder(&lab.idempotency, DAY)
        .scope("user")
        .build()?;
    let unannotated = Router::new()
        .route("/lab-layer/{name}", post(lab_layer))
        .route("/lab-stream/{name}", post(lab_stream))
        .route_layer(layer);
    Ok(Router::new()
        .route("/lab/{name}", post(lab_plain))
        .route("/lab-short/{name}", post(lab_short))
        .route("/lab-wait/{name}", post(lab_wait))
        .route("/lab-refuse/{name}", post(lab_refuse))
        .route("/lab-optional/{name}", post(lab_optional))
        .route("/lab-ietf/{name}", post(lab_ietf))
        .route("/lab-all/{name}", post(lab_all))
        .route("/lab-global/{name}", post(lab_global))
        .route("/lab-body/{name}", post(lab_body))
        .route("/lab-small/{name}", post(lab_small))
        .route("/effects/{name}", get(count_effects))
        .merge(unannotated)
        .merge(crate::work::routes())
        .with_state(lab))
}

/// What every route does: note the effect before anything else, then obey.
async fn execute(
    effects: &Effects,
    route: &'static str,
    caller: &Caller,
    order: &Order,
) -> Response {
    match effects.happen(route, caller).await {
        Ok(effect) => order.perform(&caller.name, effect).await,
        Err(error) => unwritable(&error),
    }
}

fn unwritable(error: &io::Error) -> Response {
    let reason = format!("the effects file: {error}");
    (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response()
}

#[idempotent(ttl = "24h", scope = "user")]
async fn lab_plain(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab", &caller, &order).await
}

#[idempotent(ttl = "2s", grace = "3s", lease = "1s", scope = "user")]
async fn lab_short(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-short", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = "user", wait = "5s")]
async fn lab_wait(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-wait", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = "user", on_crash = "refuse")]
async fn lab_refuse(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-refuse", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = "user", key = "optional")]
async fn lab_optional(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-optional", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = "user", profile = "ietf")]
async fn lab_ietf(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-ietf", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = "user", record = "all")]
async fn lab_all(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-all", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = "global")]
async fn lab_global(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-global", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = caller.user, key = order.note.as_deref().unwrap_or(""))]
async fn lab_body(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    let caller = Caller {
        key: order.note.clone().unwrap_or_default(),
        ..caller
    };
    execute(&effects, "lab-body", &caller, &order).await
}

#[idempotent(ttl = "24h", scope = "user", max_response = "1KiB")]
async fn lab_small(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-small", &caller, &order).await
}

async fn lab_layer(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    execute(&effects, "lab-layer", &caller, &order).await
}

/// The same answer, in pieces whose total nobody knows beforehand.
async fn lab_stream(
    State(effects): State<Effects>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Response {
    let (parts, body) = execute(&effects, "lab-stream", &caller, &order)
        .await
        .into_parts();
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => {
            let pieces: Vec<_> = bytes
                .chunks(16)
                .map(<[u8]>::to_vec)
                .map(io::Result::Ok)
                .collect();
            let mut response = Response::from_parts(parts, Body::from_stream(stream::iter(pieces)));
            response.headers_mut().remove("content-length");
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn count_effects(State(effects): State<Effects>, Path(name): Path<String>) -> Response {
    match effects.count(name).await {
        Ok(count) => Json(json!({ "count": count })).into_response(),
        Err(error) => unwritable(&error),
    }
}
