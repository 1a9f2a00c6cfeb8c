//! The embedded store that survives: a file, and processes that are killed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use axum::http::StatusCode;
use common::Lab;
use futures_util::future::join_all;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;

fn url(directory: &tempfile::TempDir) -> String {
    format!("sqlite:{}/payments.db", directory.path().display())
}

#[tokio::test]
async fn an_answer_outlives_the_process_that_gave_it() {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let environment = [("IDEM_STORE", url.as_str())];
    let mut lab = Lab::start_with(&environment).await;
    for round in 0..5 {
        let name = format!("r{round}");
        let first = lab.post("lab", &name).key(&name).send().await;
        assert_eq!(first.status, StatusCode::OK);
        lab.kill().await;
        lab = lab.peer(&environment).await;
        let again = lab.post("lab", &name).key(&name).send().await;
        assert!(again.is_replay());
        assert_eq!(again.body, first.body);
        assert_eq!(lab.effects(&name), 1);
    }
}

#[tokio::test]
async fn a_process_killed_at_work_is_taken_over_after_its_lease() {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let environment = [("IDEM_STORE", url.as_str()), ("IDEM_LEASE", "1s")];
    let mut lab = Lab::start_with(&environment).await;
    let peer = lab.peer(&environment).await;
    let order = json!({"sleep_ms": 2000});
    let request = lab.post("lab", "t").key("t").json(&order).request();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let waiting = tokio::spawn(client.request(request));
    lab.until_effects("t", 1).await;
    lab.kill().await;
    assert!(waiting.await.unwrap().is_err());

    let call = peer.post("lab", "t").key("t").json(&order);
    assert_eq!(call.clone().send().await.problem(), "in-progress");
    let answer = call.clone().insist().await;
    assert_eq!((answer.status, answer.is_replay()), (StatusCode::OK, false));
    assert_eq!(peer.effects("t"), 2);
    assert!(call.send().await.is_replay());
}

#[tokio::test]
async fn of_200_identical_requests_to_two_processes_one_runs_for_each_of_10_keys() {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let environment = [("IDEM_STORE", url.as_str())];
    let first = Lab::start_with(&environment).await;
    let labs = [first.peer(&environment).await, first];
    for key in 0..10 {
        let name = format!("k{key}");
        let calls = (0..200).map(|number| {
            let call = labs[number % 2].post("lab", &name).key(&name);
            call.json(&json!({"sleep_ms": 50})).send()
        });
        for answer in join_all(calls).await {
            if answer.status != StatusCode::OK {
                assert_eq!(answer.problem(), "in-progress");
            }
        }
        assert_eq!(labs[0].effects(&name), 1, "{name}");
    }
}
