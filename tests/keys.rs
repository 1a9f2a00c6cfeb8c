//! The key's edge cases, over real HTTP.

mod common;

use axum::http::StatusCode;
use common::Lab;

#[tokio::test]
async fn quoted_and_bare_are_the_same_key() {
    let lab = Lab::start().await;
    let call = lab.post("lab", "a");
    call.clone().key("abc").send().await;
    assert!(call.clone().key("\"abc\"").send().await.is_replay());
    assert!(call.clone().key("  abc  ").send().await.is_replay());
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn a_key_of_255_bytes_is_taken_and_one_of_256_is_not() {
    let lab = Lab::start().await;
    let longest = lab.post("lab", "a").key(&"k".repeat(255)).send().await;
    assert_eq!(longest.status, StatusCode::OK);
    let longer = lab.post("lab", "a").key(&"k".repeat(256)).send().await;
    assert_eq!(longer.problem(), "key-invalid");
    let detail = longer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("256") && detail.contains("255"), "{detail}");
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_refused_and_never_run() {
    let lab = Lab::start().await;
    let bad: [&[u8]; 8] = [
        b"",
        b"\"\"",
        b"\"abc",
        b"\"abc\"x",
        b"a\tb",
        "clé".as_bytes(),
        b"\xff\xfe",
        b"\"a\\b\"",
    ];
    for key in bad {
        let answer = lab
            .post("lab", "a")
            .header("idempotency-key", key)
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key:?}");
        assert_eq!(answer.problem(), "key-invalid", "{key:?}");
        assert_eq!(answer.json()["retryable"], false);
    }
    assert_eq!(lab.effects("a"), 0);
}

#[tokio::test]
async fn two_equal_lines_are_one_key_and_two_different_ones_are_refused() {
    let lab = Lab::start().await;
    let equal = lab.post("lab", "a").key("k").key("\"k\"").send().await;
    assert_eq!(equal.status, StatusCode::OK);
    assert!(lab.post("lab", "a").key("k").send().await.is_replay());
    let different = lab.post("lab", "a").key("k").key("l").send().await;
    assert_eq!(different.problem(), "key-invalid");
    assert_eq!(lab.effects("a"), 1);
}
