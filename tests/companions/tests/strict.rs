//! The handlers of the crate that lets nothing pass: they compile, and they do what they should.

mod common;

use axum::{http::StatusCode, Router};
use common::{answer_and_replay, request, send};
use idem_companions::{router, App};

fn start() -> (Router, App) {
    let app = App::new().unwrap();
    (router().with_state(app.clone()), app)
}

#[tokio::test]
async fn every_handler_runs_once_and_its_retry_is_replayed() {
    let payment = r#"{"amount": 5, "currency": "EUR"}"#;
    let cases = [
        ("POST /pay", payment, 200, r#"{"effect":1,"amount":5}"#),
        (
            "POST /tills/7/pay",
            payment,
            201,
            r#"{"effect":2,"amount":5}"#,
        ),
        ("POST /top-up", "41", 200, "3: 42, closed"),
        ("POST /lines", "one\ntwo\n", 201, "4: 2 lines of ana"),
        ("DELETE /lines/9", "", 200, "5: 9"),
        ("POST /raw", "12345", 200, "6: 5 bytes"),
        ("POST /notify", "event-1", 204, ""),
        ("POST /till/pay", payment, 200, r#"{"effect":8,"amount":7}"#),
        ("PUT /tills/7", "", 200, "9: 7"),
    ];
    let (router, app) = start();
    for (line, body, status, answer) in cases {
        let first = answer_and_replay(&router, line, body).await;
        assert_eq!(
            (first.status.as_u16(), &*first.body),
            (status, answer),
            "{line}"
        );
    }
    assert_eq!(app.effects().count(), cases.len());
    assert_eq!(
        answer_and_replay(&router, "POST /beat", "").await.body,
        "alive"
    );
}

#[tokio::test]
async fn an_error_of_the_handlers_own_is_an_answer_too() {
    let (router, app) = start();
    let nothing = r#"{"amount": 0, "currency": "EUR"}"#;
    let refused = answer_and_replay(&router, "POST /pay", nothing).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.body, "nothing to pay");
    assert_eq!(app.effects().count(), 0);
}

#[tokio::test]
async fn a_fingerprint_over_an_expression_leaves_the_rest_of_the_payload_out() {
    let (router, app) = start();
    let sent_at =
        |when: &str| format!(r#"{{"amount": 5, "currency": "EUR", "sent_at": "{when}"}}"#);
    let line = "POST /tills/7/pay";
    let first = send(&router, request(line, &sent_at("noon"))).await;
    let retry = send(&router, request(line, &sent_at("one"))).await;
    assert_eq!((retry.is_replay, &retry.body), (true, &first.body));
    let other = r#"{"amount": 6, "currency": "EUR"}"#;
    let other = send(&router, request(line, other)).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert_eq!(app.effects().count(), 1);
}

#[tokio::test]
async fn a_replay_does_not_bypass_the_extractor_that_authenticates() {
    let (router, app) = start();
    let first = answer_and_replay(&router, "POST /lines", "one").await;
    assert_eq!(first.status, StatusCode::CREATED);
    let mut anonymous = request("POST /lines", "one");
    let _ana = anonymous.headers_mut().remove("x-user");
    let refused = send(&router, anonymous).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(!refused.is_replay);
    assert_eq!(app.effects().count(), 1);
}
