//! The facade under another name: `crate = …` says which, in every way that a path is written.
#![allow(
    unused_qualifications,
    reason = "the expansion writes out `crate::vendored`, as it was told to, as if the user did"
)]

mod common;

use axum::{extract::State, routing::post, Json, Router};
use common::answer_and_replay;
use idem_companions::{App, Effects};
use safe::idempotent as once;

/// A crate of the user's that hands the facade on.
mod vendored {
    pub(crate) use safe::*;
}

#[safe::idempotent(crate = ::safe, ttl = "24h", scope = "user")]
async fn absolute(State(effects): State<Effects>, Json(amount): Json<u32>) -> String {
    format!("{}: {amount}", effects.happen())
}

#[once(crate = safe, ttl = "24h", scope = "user")]
async fn relative(State(effects): State<Effects>, Json(amount): Json<u32>) -> String {
    format!("{}: {amount}", effects.happen())
}

#[once(crate = "safe", ttl = "24h", scope = "user")]
async fn quoted(State(effects): State<Effects>, Json(amount): Json<u32>) -> String {
    format!("{}: {amount}", effects.happen())
}

#[vendored::idempotent(crate = crate::vendored, ttl = "24h", scope = amount)]
async fn handed_on(State(effects): State<Effects>, Json(amount): Json<u32>) -> String {
    format!("{}: {amount}", effects.happen())
}

#[tokio::test]
async fn the_facade_may_have_any_name_and_any_place() {
    let app = App::new().unwrap();
    let router = Router::new()
        .route("/absolute", post(absolute))
        .route("/relative", post(relative))
        .route("/quoted", post(quoted))
        .route("/handed-on", post(handed_on))
        .with_state(app.clone());
    for (effect, path) in (1..).zip(["absolute", "relative", "quoted", "handed-on"]) {
        let first = answer_and_replay(&router, &format!("POST /{path}"), "7").await;
        assert_eq!(first.body, format!("{effect}: 7"), "{path}");
    }
    assert_eq!(app.effects().count(), 4);
}
