//! The table of the README, row by row, over real HTTP.

mod common;

use axum::http::StatusCode;
use common::Lab;
use serde_json::json;

#[tokio::test]
async fn a_retry_gets_the_same_status_headers_and_body() {
    let lab = Lab::start().await;
    let call = lab.post("lab", "a").key("k").json(&json!({
        "status": 201,
        "headers": {"location": "/things/1", "set-cookie": "a=b", "x-request-id": "7"},
        "note": "hi",
    }));
    let first = call.clone().send().await;
    let retry = call.send().await;

    assert_eq!(first.status, StatusCode::CREATED);
    assert!(!first.is_replay());
    assert_eq!(first.header("set-cookie"), Some("a=b"));
    assert_eq!(
        first.json(),
        json!({"name": "a", "effect": 1, "note": "hi"})
    );

    assert!(retry.is_replay());
    assert_eq!(retry.header("idempotency-expired"), None);
    assert_eq!(retry.status, first.status);
    assert_eq!(retry.body, first.body);
    for name in ["location", "content-type", "content-length"] {
        assert_eq!(retry.header(name), first.header(name), "{name}");
    }
    // What belongs to the first caller alone.
    assert_eq!(retry.header("set-cookie"), None);
    assert_eq!(retry.header("x-request-id"), None);
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn white_space_field_order_and_nulls_do_not_make_another_payload() {
    let lab = Lab::start().await;
    let call = |body: &'static str| lab.post("lab", "a").key("k").body(body);
    let first = call(r#"{"note":"x","size":3}"#).send().await;
    let retry = call("{ \"size\": 3, \"status\": null,\n \"note\": \"x\" }")
        .send()
        .await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(retry.is_replay());
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn another_payload_under_the_key_is_a_conflict_and_never_runs() {
    let lab = Lab::start().await;
    let call = lab.post("lab", "a").key("k");
    call.clone().json(&json!({"note": "x"})).send().await;
    for other in [
        call.clone().json(&json!({"note": "y"})),
        call.clone().json(&json!({"note": "x"})).query("page=2"),
    ] {
        let answer = other.send().await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!(answer.problem(), "key-reused");
        assert_eq!(answer.json()["retryable"], false);
        assert_eq!(answer.header("retry-after"), None);
    }
    // The path is part of what is asked, though not of the operation.
    let answer = lab
        .post("lab", "b")
        .key("k")
        .json(&json!({"note": "x"}))
        .send()
        .await;
    assert_eq!(answer.problem(), "key-reused");
    assert_eq!((lab.effects("a"), lab.effects("b")), (1, 0));
}

#[tokio::test]
async fn the_same_key_at_another_endpoint_is_another_intent() {
    let lab = Lab::start().await;
    for route in ["lab", "lab-all", "lab-layer"] {
        let answer = lab.post(route, "a").key("k").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{route}");
    }
    assert_eq!(lab.effects("a"), 3);
}

#[tokio::test]
async fn a_duplicate_in_flight_is_told_when_to_come_back() {
    let lab = Lab::start().await;
    let call = lab
        .post("lab", "a")
        .key("k")
        .json(&json!({"sleep_ms": 60_000}));
    let first = tokio::spawn({
        let request = call.request();
        let client: hyper_util::client::legacy::Client<_, http_body_util::Full<bytes::Bytes>> =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                .build_http();
        async move { client.request(request).await }
    });
    lab.until_effects("a", 1).await;
    let duplicate = call.clone().send().await;
    assert_eq!(duplicate.status, StatusCode::CONFLICT);
    assert_eq!(duplicate.problem(), "in-progress");
    assert_eq!(duplicate.json()["retryable"], true);
    assert_eq!(duplicate.header("retry-after"), Some("1"));
    let other = lab.post("lab", "a").key("k").send().await;
    assert_eq!(other.problem(), "key-reused");
    assert_eq!(lab.effects("a"), 1);
    first.abort();
}

#[tokio::test]
async fn no_key_is_refused_unless_it_is_optional() {
    let lab = Lab::start().await;
    let answer = lab.post("lab", "a").send().await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.problem(), "key-missing");
    assert_eq!(lab.effects("a"), 0);

    for _ in 0..2 {
        let answer = lab.post("lab-optional", "b").send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.is_replay());
    }
    assert_eq!(lab.effects("b"), 2);
    let call = lab.post("lab-optional", "c").key("k");
    call.clone().send().await;
    assert!(call.send().await.is_replay());
    assert_eq!(lab.effects("c"), 1);
}

#[tokio::test]
async fn a_key_can_come_from_the_body() {
    let lab = Lab::start().await;
    let call = |note: &str| lab.post("lab-body", "a").json(&json!({"note": note}));
    assert_eq!(call("e-1").send().await.status, StatusCode::OK);
    assert!(call("e-1").send().await.is_replay());
    assert_eq!(call("e-2").send().await.json()["effect"], 2);
    let other = lab
        .post("lab-body", "a")
        .json(&json!({"note": "e-1", "size": 1}));
    assert_eq!(other.send().await.problem(), "key-reused");
    for bad in [
        json!({}),
        json!({"note": "é"}),
        json!({"note": "x".repeat(256)}),
    ] {
        let answer = lab.post("lab-body", "a").json(&bad).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.problem(), "key-invalid");
    }
    assert_eq!(lab.effects("a"), 2);
}

#[tokio::test]
async fn the_ietf_profile_answers_a_reused_key_with_422() {
    let lab = Lab::start().await;
    lab.post("lab-ietf", "a").key("k").send().await;
    let answer = lab
        .post("lab-ietf", "a")
        .key("k")
        .json(&json!({"size": 1}))
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.problem(), "key-reused");
}

#[tokio::test]
async fn an_error_of_the_server_is_not_a_result_and_a_retry_runs() {
    let lab = Lab::start().await;
    for status in [500, 503, 429, 401] {
        let name = format!("s{status}");
        let call = lab
            .post("lab", &name)
            .key(&name)
            .json(&json!({"status": status}));
        for effect in 1..=2 {
            let answer = call.clone().send().await;
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.json()["effect"], effect);
            assert!(!answer.is_replay());
        }
        // A released key still belongs to its payload.
        let other = lab.post("lab", &name).key(&name).send().await;
        assert_eq!(other.problem(), "key-reused");
    }
}

#[tokio::test]
async fn an_error_of_the_client_is_a_result() {
    let lab = Lab::start().await;
    let call = lab.post("lab", "a").key("k").json(&json!({"status": 422}));
    call.clone().send().await;
    let retry = call.send().await;
    assert_eq!(retry.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(retry.is_replay());
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn record_all_keeps_errors_too() {
    let lab = Lab::start().await;
    let call = lab
        .post("lab-all", "a")
        .key("k")
        .json(&json!({"status": 503}));
    call.clone().send().await;
    assert!(call.send().await.is_replay());
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn a_panic_is_answered_and_releases_the_key() {
    let lab = Lab::start().await;
    let call = lab.post("lab", "a").key("k").json(&json!({"panic": true}));
    for effect in 1..=2 {
        let answer = call.clone().send().await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.problem(), "execution-failed");
        assert_eq!(answer.json()["retryable"], true);
        assert_eq!(lab.effects("a"), effect);
    }
}

#[tokio::test]
async fn an_answer_too_large_to_keep_is_delivered_once_and_never_made_again() {
    let lab = Lab::start().await;
    for (name, size, kept) in [("small", 900, true), ("large", 1025, false)] {
        let call = lab
            .post("lab-small", name)
            .key(name)
            .json(&json!({"size": size, "status": 201}));
        let first = call.clone().send().await;
        assert_eq!(first.status, StatusCode::CREATED);
        assert!(first.body.len() > size);
        let retry = call.send().await;
        assert!(retry.is_replay());
        if kept {
            assert_eq!(retry.body, first.body);
        } else {
            assert_eq!(retry.status, StatusCode::CONFLICT);
            assert_eq!(retry.problem(), "response-not-retained");
            assert_eq!(retry.json()["original_status"], 201);
            assert_eq!(retry.json()["retryable"], false);
        }
        assert_eq!(lab.effects(name), 1);
    }
}

#[tokio::test]
async fn a_streamed_answer_is_delivered_once_and_never_made_again() {
    let lab = Lab::start().await;
    let call = lab
        .post("lab-stream", "a")
        .key("k")
        .json(&json!({"size": 5000}));
    let first = call.clone().send().await;
    assert_eq!(first.header("content-length"), None);
    assert_eq!(first.json()["effect"], 1);
    let retry = call.send().await;
    assert_eq!(retry.problem(), "response-not-retained");
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn the_layer_has_the_same_semantics_over_the_bytes() {
    let lab = Lab::start().await;
    let call = |body: &'static str| lab.post("lab-layer", "a").key("k").body(body);
    assert_eq!(
        lab.post("lab-layer", "a").send().await.problem(),
        "key-missing"
    );
    let first = call(r#"{"size":3}"#).send().await;
    assert_eq!(first.status, StatusCode::OK);
    let retry = call(r#"{"size":3}"#).send().await;
    assert!(retry.is_replay());
    assert_eq!(retry.body, first.body);
    assert_eq!(call(r#"{ "size":3}"#).send().await.problem(), "key-reused");
    let huge = lab
        .post("lab-layer", "a")
        .key("h")
        .body(vec![b' '; (2 << 20) + 1]);
    let answer = huge.send().await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.problem(), "payload-too-large");
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn a_body_that_is_refused_by_its_extractor_touches_no_slot() {
    let lab = Lab::start().await;
    let call = lab.post("lab", "a").key("k");
    for (body, status) in [
        ("{", StatusCode::BAD_REQUEST),
        (r#"{"status":99}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"unknown":1}"#, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(
            call.clone().body(body).send().await.status,
            status,
            "{body}"
        );
    }
    // Under the same key another payload runs as the first one.
    let answer = call.json(&json!({"note": "good"})).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(lab.effects("a"), 1);
}
