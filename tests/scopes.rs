//! Whose key it is, over real HTTP.

mod common;

use axum::http::StatusCode;
use common::Lab;
use serde_json::json;

#[tokio::test]
async fn another_user_with_the_same_key_has_an_execution_of_their_own() {
    let lab = Lab::start().await;
    for route in ["lab", "lab-layer", "lab-body"] {
        let name = format!("n-{route}");
        let order = json!({"note": "e-1"});
        let call = lab.post(route, &name).key("k").json(&order);
        call.clone().user("ana").send().await;
        let bob = call.clone().user("bob").send().await;
        assert_eq!(bob.status, StatusCode::OK, "{route}");
        assert!(!bob.is_replay(), "{route}");
        assert_eq!(bob.json()["effect"], 2, "{route}");
        // Not even a conflict tells Bob that Ana used the key for something else.
        let carl = call.json(&json!({"note": "e-1", "size": 1}));
        assert_eq!(
            carl.user("carl").send().await.json()["effect"],
            3,
            "{route}"
        );
    }
}

#[tokio::test]
async fn a_global_key_is_everybodys() {
    let lab = Lab::start().await;
    let call = lab.post("lab-global", "a").key("k");
    call.clone().user("ana").send().await;
    assert!(call.user("bob").send().await.is_replay());
    assert_eq!(lab.effects("a"), 1);
}

#[tokio::test]
async fn without_a_user_nothing_is_claimed_and_no_replay_is_served() {
    let lab = Lab::start().await;
    for route in ["lab", "lab-layer", "lab-global", "lab-body", "lab-optional"] {
        let name = format!("n-{route}");
        let call = lab.post(route, &name).key("k").json(&json!({"note": "e"}));
        let answer = call.clone().nobody().send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{route}");
        assert_eq!(lab.effects(&name), 0, "{route}");

        let first = call.clone().send().await;
        assert_eq!(first.status, StatusCode::OK, "{route}");
        // The record is there now, and still for nobody without a user.
        let answer = call.nobody().send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{route}");
        assert!(!answer.is_replay(), "{route}");
    }
}
