//! Several processes of one service over one Redis.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use axum::http::StatusCode;
use common::{Answer, Call, Lab};
use futures_util::{StreamExt, future::join_all, stream};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use idem_axum::{RedisStore, Store};
use idem_core::{ListQuery, SlotView};
use idem_servers::Redis;
use serde_json::{Value, json};

/// Two processes over one Redis.
async fn fleet(redis: &Redis, more: &[(&str, &str)]) -> (Lab, Lab) {
    let url = redis.url();
    let mut environment = vec![("IDEM_STORE", url.as_str())];
    environment.extend(more);
    let first = Lab::start_with(&environment).await;
    let second = first.peer(&environment).await;
    (first, second)
}

/// The same request to one process and the other in turn.
fn split<'a>(
    labs: &'a (Lab, Lab),
    route: &'a str,
    name: &'a str,
    count: usize,
) -> impl Iterator<Item = Call<'a>> {
    (0..count).map(move |number| {
        let lab = if number % 2 == 0 { &labs.0 } else { &labs.1 };
        lab.post(route, name)
            .key(name)
            .json(&json!({"sleep_ms": 100}))
    })
}

/// One of them ran, all others were told so, and nobody was told anything else.
fn one_ran(answers: &[Answer]) {
    let ran = |answer: &&Answer| answer.status == StatusCode::OK && !answer.is_replay();
    assert_eq!(answers.iter().filter(ran).count(), 1);
    for answer in answers {
        if answer.status != StatusCode::OK {
            assert_eq!(answer.problem(), "in-progress");
        }
    }
}

#[tokio::test]
async fn of_500_identical_requests_to_two_processes_one_runs_for_each_of_50_keys() {
    let redis = Redis::start().await;
    let labs = fleet(&redis, &[]).await;
    let names: Vec<_> = (0..50).map(|key| format!("k{key}")).collect();
    // 500 of a key at once, two keys at a time, until all keys have had theirs.
    let crowds = names.iter().map(|name| {
        let calls = split(&labs, "lab", name, 500);
        async move { (name, join_all(calls.map(Call::send)).await) }
    });
    let mut crowds = stream::iter(crowds).buffer_unordered(2);
    while let Some((name, answers)) = crowds.next().await {
        one_ran(&answers);
        assert_eq!(labs.0.effects(name), 1, "{name}");
    }
}

#[tokio::test]
async fn fifty_keys_at_once_to_two_processes_have_one_effect_each() {
    let redis = Redis::start().await;
    let labs = fleet(&redis, &[]).await;
    let names: Vec<_> = (0..50).map(|key| format!("k{key}")).collect();
    let calls = names.iter().flat_map(|name| split(&labs, "lab", name, 10));
    let answers = join_all(calls.map(Call::send)).await;
    for (name, answers) in names.iter().zip(answers.chunks(10)) {
        one_ran(answers);
        assert_eq!(labs.0.effects(name), 1, "{name}");
    }
}

#[tokio::test]
async fn duplicates_that_wait_at_another_process_get_the_one_answer() {
    let redis = Redis::start().await;
    let labs = fleet(&redis, &[]).await;
    let first = labs
        .0
        .post("lab-wait", "w")
        .key("w")
        .json(&json!({"sleep_ms": 700}));
    let asked = async {
        labs.0.until_effects("w", 1).await;
        let before = redis.calls("evalsha").await;
        let call = labs
            .1
            .post("lab-wait", "w")
            .key("w")
            .json(&json!({"sleep_ms": 700}));
        let answers = join_all((0..100).map(|_| call.clone().send())).await;
        (answers, redis.calls("evalsha").await - before)
    };
    let (answer, (answers, claims)) = tokio::join!(first.send(), asked);
    assert!(
        answers
            .iter()
            .all(|other| other.is_replay() && other.body == answer.body)
    );
    assert_eq!(labs.0.effects("w"), 1);
    // Each asks when it comes, when it is listed and when it is told; one for all in between.
    assert!(claims <= 3 * 100 + 30, "{claims} claims of 100 who waited");
}

/// Sends an order to one process, and kills that process while it works on it.
async fn killed_at_work(lab: &mut Lab, route: &str, name: &str, order: &Value) {
    let request = lab.post(route, name).key(name).json(order).request();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let waiting = tokio::spawn(client.request(request));
    lab.until_effects(name, 1).await;
    lab.kill().await;
    assert!(waiting.await.unwrap().is_err(), "it has answered");
}

/// The only slot there is.
async fn slot(redis: &Redis) -> SlotView {
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let query = ListQuery {
        state: None,
        after: None,
        limit: 10,
    };
    let mut slots = store.list(query).await.unwrap().slots;
    assert_eq!(slots.len(), 1);
    slots.remove(0)
}

#[tokio::test]
async fn a_process_killed_at_work_is_taken_over_after_its_lease() {
    let redis = Redis::start().await;
    let mut labs = fleet(&redis, &[("IDEM_LEASE", "1s")]).await;
    let order = json!({"sleep_ms": 2000});
    killed_at_work(&mut labs.0, "lab", "t", &order).await;

    let call = labs.1.post("lab", "t").key("t").json(&order);
    assert_eq!(call.clone().send().await.problem(), "in-progress");
    let answer = call.clone().insist().await;
    assert_eq!((answer.status, answer.is_replay()), (StatusCode::OK, false));
    assert_eq!(labs.1.effects("t"), 2);
    let slot = slot(&redis).await;
    assert_eq!((slot.attempt, slot.fence.get()), (2, 2));
    assert!(call.send().await.is_replay());
}

#[tokio::test]
async fn under_refuse_nobody_takes_over_from_a_process_killed_at_work() {
    let redis = Redis::start().await;
    let mut labs = fleet(&redis, &[("IDEM_LEASE", "1s")]).await;
    let order = json!({"sleep_ms": 2000});
    killed_at_work(&mut labs.0, "lab-refuse", "t", &order).await;

    let call = labs.1.post("lab-refuse", "t").key("t").json(&order);
    let answer = call.insist().await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.problem(), "outcome-unknown");
    assert_eq!(labs.1.effects("t"), 1);
    assert_eq!(slot(&redis).await.attempt, 1);
}
