//! Sends requests to a router, in process. Both packages use it, so it is formatted alike in both
//! editions.
#![expect(clippy::unwrap_used, reason = "these are the tests' own hands")]

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    pub(crate) is_replay: bool,
}

/// A request of ana's with a key, to a line such as `POST /pay`.
pub(crate) fn request(line: &str, body: &str) -> Request<Body> {
    let (method, path) = line.split_once(' ').unwrap();
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("idempotency-key", "k-1")
        .header("x-user", "ana")
        .body(body.to_owned().into())
        .unwrap()
}

pub(crate) async fn send(router: &axum::Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        body: String::from_utf8(body.to_vec()).unwrap(),
        is_replay: head
            .headers
            .get("idempotent-replayed")
            .is_some_and(|value| value == "true"),
    }
}

/// The first answer to a request whose retry gets the same one, as a replay.
pub(crate) async fn answer_and_replay(router: &axum::Router, line: &str, body: &str) -> Answer {
    let first = send(router, request(line, body)).await;
    assert!(!first.is_replay, "{first:?}");
    let retry = send(router, request(line, body)).await;
    let replay = Answer {
        is_replay: true,
        body: first.body.clone(),
        status: first.status,
    };
    assert_eq!(retry, replay);
    first
}
