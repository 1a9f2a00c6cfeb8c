//! `#[utoipa::path]` reads a handler's signature for the document of the service.

mod common;

use axum::{
    extract::{Path, State},
    Json, Router,
};
use common::answer_and_replay;
use idem_companions::{App, Effects};
use safe::idempotent;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(Serialize, Deserialize, ToSchema)]
struct Order {
    amount: u32,
}

/// Orders.
#[utoipa::path(post, path = "/above/{shop}", responses((status = OK, body = Order)))]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
async fn above(
    State(effects): State<Effects>,
    Path(shop): Path<u32>,
    Json(order): Json<Order>,
) -> Json<Order> {
    let amount = order.amount + shop;
    let _effect = effects.happen();
    Json(Order { amount })
}

/// Orders.
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
#[utoipa::path(post, path = "/below/{shop}", responses((status = OK, body = Order)))]
async fn below(
    State(effects): State<Effects>,
    Path(shop): Path<u32>,
    Json(order): Json<Order>,
) -> Json<Order> {
    let amount = order.amount + shop;
    let _effect = effects.happen();
    Json(Order { amount })
}

/// Cancels, if there is anything to cancel.
#[utoipa::path(delete, path = "/above/{shop}", responses((status = OK)))]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
async fn cancel_above(State(effects): State<Effects>, Path(shop): Path<u32>) -> String {
    format!("{}: {shop}", effects.happen())
}

/// Cancels, if there is anything to cancel.
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
#[utoipa::path(delete, path = "/below/{shop}", responses((status = OK)))]
async fn cancel_below(State(effects): State<Effects>, Path(shop): Path<u32>) -> String {
    format!("{}: {shop}", effects.happen())
}

/// Changes an order, or nothing.
#[utoipa::path(put, path = "/above/{shop}", responses((status = OK)))]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
async fn change_above(State(effects): State<Effects>, order: Option<Json<Order>>) -> String {
    format!("{}: {}", effects.happen(), order.is_some())
}

/// Changes an order, or nothing.
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
#[utoipa::path(put, path = "/below/{shop}", responses((status = OK)))]
async fn change_below(State(effects): State<Effects>, order: Option<Json<Order>>) -> String {
    format!("{}: {}", effects.happen(), order.is_some())
}

/// The service, and what its document says of one operation, without its id.
fn start() -> (Router, App, impl Fn(&str, &str) -> Value) {
    let app = App::new().unwrap();
    let (router, document) = OpenApiRouter::<App>::new()
        .routes(routes!(above, cancel_above, change_above))
        .routes(routes!(below, cancel_below, change_below))
        .split_for_parts();
    let document = serde_json::to_value(document).unwrap();
    let operation = move |place: &str, method: &str| {
        let mut operation = document["paths"][format!("/{place}/{{shop}}")][method].clone();
        assert!(operation.is_object(), "{method} {place}: {document}");
        let _id = operation.as_object_mut().unwrap().remove("operationId");
        operation
    };
    (router.with_state(app.clone()), app, operation)
}

/// An operation without what idem has to say of it.
fn own(mut operation: Value) -> Value {
    if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
        parameters.retain(|parameter| parameter["in"] != "header");
        if parameters.is_empty() {
            let _empty = operation.as_object_mut().unwrap().remove("parameters");
        }
    }
    if let Some(Value::Object(responses)) = operation.get_mut("responses") {
        responses.retain(|status, _| status == "200");
    }
    operation
}

#[tokio::test]
async fn a_retry_is_replayed_with_utoipa_in_either_place() {
    let (router, app, _) = start();
    let order = r#"{"amount": 12}"#;
    for place in ["above", "below"] {
        let first = answer_and_replay(&router, &format!("POST /{place}/30"), order).await;
        assert_eq!(first.body, r#"{"amount":42}"#);
    }
    assert_eq!(app.effects().count(), 2);
    for (effect, place) in [(3, "above"), (4, "below")] {
        let cancelled = answer_and_replay(&router, &format!("DELETE /{place}/30"), "").await;
        assert_eq!(cancelled.body, format!("{effect}: 30"));
    }
    for (effect, place) in [(5, "above"), (6, "below")] {
        let changed = answer_and_replay(&router, &format!("PUT /{place}/30"), order).await;
        assert_eq!(changed.body, format!("{effect}: true"));
    }
    assert_eq!(app.effects().count(), 6);
}

#[test]
fn the_document_has_what_the_handler_takes_and_answers_in_either_place() {
    let (_, _, operation) = start();
    let order = json!({"$ref": "#/components/schemas/Order"});
    let shop = json!({"type": "integer", "format": "int32", "minimum": 0});
    let expected = json!({
        "summary": "Orders.",
        "parameters": [{"name": "shop", "in": "path", "required": true, "schema": shop}],
        "requestBody": {
            "content": {"application/json": {"schema": order}},
            "required": true,
        },
        "responses": {"200": {"content": {"application/json": {"schema": order}}}},
    });
    assert_eq!(operation("above", "post"), expected);
    assert_eq!(own(operation("below", "post")), expected);
}

#[test]
fn a_path_that_is_the_last_argument_is_in_the_document_in_either_place() {
    let (_, _, operation) = start();
    let above = operation("above", "delete");
    assert_eq!(above["parameters"][0]["name"], "shop");
    assert_eq!(own(operation("below", "delete")), above);
}

#[test]
fn an_optional_body_is_optional_in_the_document_in_either_place() {
    let (_, _, operation) = start();
    let above = operation("above", "put");
    assert_eq!(above["requestBody"]["required"], Value::Null);
    assert_eq!(own(operation("below", "put")), above);
}

#[test]
fn below_a_facade_of_another_name_the_document_has_the_key_and_idems_own_answers() {
    let (_, _, operation) = start();
    for method in ["post", "put", "delete"] {
        let below = operation("below", method);
        let parameters = below["parameters"].as_array().unwrap();
        assert!(
            parameters.iter().any(|it| it["name"] == "Idempotency-Key"),
            "{below}"
        );
        let statuses: Vec<_> = below["responses"].as_object().unwrap().keys().collect();
        assert_eq!(statuses, ["200", "400", "409", "429", "503"], "{method}");
    }
}
