//! Many identical requests at once, over real HTTP.

mod common;

use std::collections::HashMap;

use axum::http::StatusCode;
use common::{Answer, Lab};
use futures_util::future::join_all;
use serde_json::json;

const CROWD: usize = 200;

async fn crowd(lab: &Lab, route: &str, name: &str) -> Vec<Answer> {
    let call = lab
        .post(route, name)
        .key("k")
        .json(&json!({"sleep_ms": 300}));
    join_all((0..CROWD).map(|_| call.clone().send())).await
}

#[tokio::test]
async fn of_200_identical_requests_one_runs_and_the_rest_are_told_so() {
    let lab = Lab::start().await;
    let answers = crowd(&lab, "lab", "crowd").await;
    assert_eq!(lab.effects("crowd"), 1);

    let mut counts = HashMap::new();
    for answer in &answers {
        let what = match answer.status {
            StatusCode::OK if answer.is_replay() => "replay".to_owned(),
            StatusCode::OK => "ran".to_owned(),
            _ => answer.problem(),
        };
        *counts.entry(what).or_insert(0) += 1;
    }
    assert_eq!(counts.get("ran"), Some(&1), "{counts:?}");
    // A connection that came late may meet the record instead.
    let told = counts.get("in-progress").unwrap_or(&0) + counts.get("replay").unwrap_or(&0);
    assert_eq!(told, CROWD - 1, "{counts:?}");
}

#[tokio::test]
async fn of_200_identical_requests_that_wait_all_get_the_one_answer() {
    let lab = Lab::start().await;
    let answers = crowd(&lab, "lab-wait", "crowd").await;
    assert_eq!(lab.effects("crowd"), 1);
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    let ran = answers.iter().filter(|answer| !answer.is_replay()).count();
    assert_eq!(ran, 1);
}

#[tokio::test]
async fn fifty_keys_at_once_have_one_effect_each() {
    let lab = Lab::start().await;
    let calls = (0..50).flat_map(|key| {
        let call = lab
            .post("lab-layer", &format!("n{key}"))
            .key(&format!("k{key}"))
            .json(&json!({"sleep_ms": 50}));
        (0..8).map(move |_| call.clone().send())
    });
    let answers = join_all(calls).await;
    let ran = answers
        .iter()
        .filter(|a| a.status == StatusCode::OK && !a.is_replay());
    assert_eq!(ran.count(), 50);
    for key in 0..50 {
        assert_eq!(lab.effects(&format!("n{key}")), 1, "key {key}");
    }
}
