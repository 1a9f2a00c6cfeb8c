//! The OpenAPI document tells a client of keys and of idem's own answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "the handlers are documented, not called")]

use axum::{Json, extract::Path};
use idem_axum::{idempotent, openapi};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

#[derive(Serialize, Deserialize, ToSchema)]
struct Order {
    amount: u32,
}

#[idempotent(ttl = "24h", scope = "user")]
#[utoipa::path(post, path = "/plain")]
async fn plain(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[idempotent(ttl = "24h", scope = "user", key = "optional", header = "X-Request-Id")]
#[utoipa::path(
    post,
    path = "/said/{id}",
    params(("id" = u32, Path, description = "the order's")),
    responses(
        (status = OK, body = Order),
        (status = CONFLICT, description = "sold out, or one of idem's"),
    ),
)]
async fn said(Path(id): Path<u32>, Json(order): Json<Order>) -> Json<Order> {
    let amount = order.amount + id;
    Json(Order { amount })
}

#[idempotent(ttl = "24h", scope = "user", profile = "ietf", header = "X-Request-Id")]
#[cfg_attr(all(), utoipa::path(post, path = "/ietf", responses((status = OK, body = Order))))]
async fn ietf(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[idempotent(ttl = "24h", scope = "global", key = order.amount)]
#[utoipa::path(post, path = "/webhook", responses())]
async fn webhook(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[utoipa::path(
    post,
    path = "/by-hand",
    params(openapi::KeyHeader),
    responses(openapi::Problems)
)]
#[idempotent(ttl = "24h", scope = "user")]
async fn by_hand(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[derive(OpenApi)]
#[openapi(paths(plain, said, ietf, webhook, by_hand))]
struct Document;

fn operation(path: &str) -> Value {
    let document = serde_json::to_value(Document::openapi()).unwrap();
    document["paths"][path]["post"].clone()
}

fn header(operation: &Value) -> Option<&Value> {
    let parameters = operation["parameters"].as_array()?;
    parameters
        .iter()
        .find(|parameter| parameter["in"] == "header")
}

fn statuses(operation: &Value) -> Vec<&str> {
    let responses = operation["responses"].as_object().unwrap();
    responses.keys().map(String::as_str).collect()
}

#[test]
fn the_key_is_a_required_header() {
    let operation = operation("/plain");
    let header = header(&operation).unwrap();
    assert_eq!(header["name"], "Idempotency-Key");
    assert_eq!(header["required"], true);
    assert_eq!(
        header["schema"],
        json!({"type": "string", "minLength": 1, "maxLength": 255})
    );
}

#[test]
fn idems_own_answers_are_problem_documents() {
    let operation = operation("/plain");
    assert_eq!(statuses(&operation), ["400", "409", "429", "503"]);
    for status in ["400", "409", "429", "503"] {
        let content = &operation["responses"][status]["content"];
        let schema = &content["application/problem+json"]["schema"];
        let required = schema["required"].as_array().unwrap();
        for member in ["type", "title", "status", "detail", "retryable"] {
            assert!(required.contains(&json!(member)), "{status}: {schema}");
            assert!(schema["properties"][member].is_object());
        }
    }
    let limited = &operation["responses"]["429"];
    assert!(limited["headers"]["Retry-After"].is_object());
    let conflict = &operation["responses"]["409"];
    assert!(conflict["headers"]["Retry-After"].is_object());
    let description = conflict["description"].as_str().unwrap();
    for problem in ["in-progress", "key-reused", "outcome-unknown"] {
        assert!(description.contains(problem), "{description}");
    }
}

#[test]
fn what_the_author_says_stays_and_comes_first() {
    let operation = operation("/said/{id}");
    assert_eq!(statuses(&operation), ["200", "400", "409", "429", "503"]);
    assert_eq!(
        operation["responses"]["409"]["description"],
        "sold out, or one of idem's"
    );
    let parameters = operation["parameters"].as_array().unwrap();
    assert_eq!(parameters.len(), 2, "{parameters:?}");
    assert_eq!(parameters[0]["description"], "the order's");
    let header = header(&operation).unwrap();
    assert_eq!(header["name"], "X-Request-Id");
    assert_eq!(header["required"], false);
    assert!(operation["requestBody"].is_object());
}

#[test]
fn a_reused_key_is_422_where_the_handler_says_so() {
    let operation = operation("/ietf");
    assert_eq!(
        statuses(&operation),
        ["200", "400", "409", "422", "429", "503"]
    );
    let header = header(&operation).unwrap();
    assert_eq!(header["name"], "X-Request-Id");
    assert_eq!(header["required"], true);
    let reused = operation["responses"]["422"]["description"].as_str();
    assert!(reused.unwrap().contains("key-reused"));
}

#[test]
fn a_key_from_the_payload_is_no_header() {
    let operation = operation("/webhook");
    assert_eq!(header(&operation), None);
    assert_eq!(statuses(&operation), ["400", "409", "429", "503"]);
}

#[test]
fn by_hand_it_says_the_same() {
    let (by_hand, plain) = (operation("/by-hand"), operation("/plain"));
    assert_eq!(header(&by_hand), header(&plain));
    assert_eq!(by_hand["responses"], plain["responses"]);
}
