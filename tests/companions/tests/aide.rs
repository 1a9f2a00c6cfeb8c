//! aide's router takes an annotated handler as axum's own does, and documents it by hand.
//!
//! `api_route` with `aide::axum::routing::post(pay)` does not compile: it wants every argument to
//! implement aide's `OperationInput`, and the last one is the expansion's own.

mod common;

use aide::{
    axum::{routing::ApiMethodDocs, ApiRouter},
    openapi::{OpenApi, Operation},
};
use axum::{extract::State, routing::post, Json, Router};
use common::answer_and_replay;
use idem_companions::{App, Effects};
use safe::idempotent;
use serde_json::json;

#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
async fn pay(State(effects): State<Effects>, Json(amount): Json<u32>) -> String {
    format!("{}: {amount}", effects.happen())
}

#[tokio::test]
async fn a_retry_is_replayed_in_aides_router() {
    let app = App::new().unwrap();
    let router: Router = ApiRouter::new()
        .route("/pay", post(pay))
        .with_state(app.clone())
        .into();
    let first = answer_and_replay(&router, "POST /pay", "7").await;
    assert_eq!(first.body, "1: 7");
    assert_eq!(app.effects().count(), 1);
}

#[tokio::test]
async fn a_documented_route_is_in_the_document_and_its_retry_is_replayed() {
    let app = App::new().unwrap();
    let mut document = OpenApi::default();
    let docs = ApiMethodDocs::new("post", Operation::default());
    let router = ApiRouter::new()
        .route("/pay", post(pay))
        .api_route_docs_with("/pay", docs, |path| path.summary("Pays."))
        .finish_api(&mut document)
        .with_state(app.clone());
    let document = serde_json::to_value(&document).unwrap();
    assert_eq!(
        document["paths"],
        json!({"/pay": {"summary": "Pays.", "post": {}}})
    );
    let first = answer_and_replay(&router, "POST /pay", "7").await;
    assert_eq!(first.body, "1: 7");
    assert_eq!(app.effects().count(), 1);
}
