//! The end of a ttl is no race: past it a retry still meets the record, until
//! it is physically deleted. Over real HTTP and on a real clock: ttl 2s, grace 3s.

mod common;

use std::time::{Duration, Instant};

use common::{Answer, Call, Lab, PATIENCE};
use serde_json::json;

async fn send_until(call: &Call<'_>, done: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = call.clone().send().await;
        if done(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_late_retry_meets_processed_and_only_deletion_frees_a_key() {
    let lab = Lab::start().await;
    let call = lab
        .post("lab-short", "a")
        .key("k")
        .json(&json!({"note": "x"}));
    let other = lab
        .post("lab-short", "a")
        .key("k")
        .json(&json!({"note": "y"}));
    let first = call.clone().send().await;

    let expired = send_until(&call, |answer| {
        answer.header("idempotency-expired").is_some()
    })
    .await;
    assert!(expired.is_replay());
    assert_eq!(expired.body, first.body);
    assert_eq!(other.clone().send().await.problem(), "key-reused");
    assert_eq!(lab.effects("a"), 1);

    // Until then every answer was the record; then the key is new.
    let again = send_until(&call, |answer| !answer.is_replay()).await;
    assert_eq!(again.json()["effect"], 2);
}
