//! The handlers of a crate in which every name is taken: they run once, and are replayed.

#[path = "../../companions/tests/common/mod.rs"]
mod common;

use axum::http::StatusCode;
use common::answer_and_replay;
use idem_companions_2024::{App, router};

#[tokio::test]
async fn the_expansion_needs_no_name_of_its_users() {
    let app = App::new().unwrap();
    let router = router().with_state(app.clone());
    let order = r#"{"id": "o-1", "amount": 5}"#;
    let cases = [
        ("POST /order", "1: o-1"),
        ("POST /match/7", "2: o-1, 6 of generation 8"),
        ("POST /opaque", "3: 26 bytes"),
        ("POST /shop/order", "4: 3"),
    ];
    for (line, answer) in cases {
        let first = answer_and_replay(&router, line, order).await;
        assert_eq!((first.status, &*first.body), (StatusCode::OK, answer));
    }
    assert_eq!(app.effects(), 4);
}

#[tokio::test]
async fn a_question_mark_leaves_the_body_and_not_the_expansion() {
    let app = App::new().unwrap();
    let router = router().with_state(app.clone());
    let order = r#"{"id": "o-1", "amount": 1}"#;
    let refused = answer_and_replay(&router, "POST /shop/order", order).await;
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(app.effects(), 0);
}
