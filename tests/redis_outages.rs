//! A service whose Redis is killed, stopped, slow, or at the end of a broken line, under load.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::HashMap, time::Duration};

use axum::http::StatusCode;
use common::{Answer, Lab, PATIENCE};
use futures_util::{StreamExt, future::join_all, stream};
use idem_servers::{Proxy, Redis};
use serde_json::json;
use tokio::time::{sleep, timeout};

const MS: Duration = Duration::from_millis(1);
/// A shorter outage is waited out within a verb's 2 seconds, and nobody notices.
const MORE_THAN_A_VERB: Duration = Duration::from_millis(2500);

/// Leases outlive every outage here: one that lapses meanwhile may be taken over.
async fn fleet(url: &str) -> (Lab, Lab) {
    let environment = [("IDEM_STORE", url), ("IDEM_LEASE", "30s")];
    let first = Lab::start_with(&environment).await;
    let second = first.peer(&environment).await;
    (first, second)
}

/// Keys one after the other, each asked for at one process until it is
/// answered and then at the other, while `fail` happens. Each must have had one
/// effect and one answer. Tells how often the answer was 503 in between.
async fn load(labs: &(Lab, Lab), keys: usize, fail: impl Future<Output = ()>) -> usize {
    let names: Vec<_> = (0..keys).map(|key| format!("k{key}")).collect();
    let asked = names.iter().enumerate().map(|(number, name)| async move {
        sleep(2 * MS * u32::try_from(number).unwrap()).await;
        let call = |lab: &'static str| {
            let lab = if lab == "first" { &labs.0 } else { &labs.1 };
            lab.post("lab", name)
                .key(name)
                .json(&json!({"sleep_ms": 20}))
        };
        let mut refused = 0;
        let answer = loop {
            // A request always ends, whatever the store does.
            let answer = timeout(PATIENCE, call("first").send()).await.unwrap();
            match answer.status {
                StatusCode::OK => break answer,
                StatusCode::SERVICE_UNAVAILABLE => {
                    assert_eq!(answer.problem(), "store-unavailable");
                    assert!(answer.header("retry-after").is_some());
                    refused += 1;
                }
                _ => assert_eq!(answer.problem(), "in-progress"),
            }
            sleep(50 * MS).await;
        };
        (answer, call("second").insist().await, refused)
    });
    let asked = stream::iter(asked)
        .buffer_unordered(keys)
        .collect::<Vec<_>>();
    let (asked, ()) = tokio::join!(asked, fail);
    let mut effects: HashMap<String, usize> = HashMap::new();
    for line in labs.0.lines() {
        let name = line.split(' ').nth(1).unwrap_or_default().to_owned();
        *effects.entry(name).or_default() += 1;
    }
    for name in &names {
        assert_eq!(effects.get(name), Some(&1), "{name}");
    }
    for (answer, other, _) in &asked {
        assert!(other.is_replay() && other.body == answer.body, "{other:?}");
    }
    asked.iter().map(|(_, _, refused)| refused).sum()
}

/// With `everysec` it may: while the file is being synced, a server answers what
/// it has not even written.
#[tokio::test]
async fn killed_and_restarted_with_its_file_it_loses_nothing() {
    let file = [("appendonly", "yes"), ("appendfsync", "always")];
    let redis = Redis::start_with(&file).await;
    let labs = fleet(&redis.url()).await;
    let acknowledged = labs.0.post("lab", "before").key("before").send().await;
    let refused = load(&labs, 300, async {
        sleep(200 * MS).await;
        redis.kill();
        sleep(MORE_THAN_A_VERB).await;
        redis.restart().await;
    })
    .await;
    assert!(refused > 0, "nobody noticed");
    let after = labs.1.post("lab", "before").key("before").send().await;
    assert!(after.is_replay() && after.body == acknowledged.body);
}

#[tokio::test]
async fn stopped_for_longer_than_any_deadline_it_is_waited_out() {
    let redis = Redis::start().await;
    let labs = fleet(&redis.url()).await;
    let refused = load(&labs, 100, async {
        sleep(100 * MS).await;
        redis.stop();
        sleep(MORE_THAN_A_VERB).await;
        redis.resume();
    })
    .await;
    assert!(refused > 0, "nobody noticed");
}

#[tokio::test]
async fn paused_it_applies_late_what_was_given_up() {
    let redis = Redis::start().await;
    let labs = fleet(&redis.url()).await;
    let refused = load(&labs, 100, async {
        sleep(100 * MS).await;
        redis.command(&["CLIENT", "PAUSE", "2500", "WRITE"]).await;
    })
    .await;
    assert!(refused > 0, "nobody noticed");
}

#[tokio::test]
async fn replies_lost_with_their_connections_are_asked_for_again() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.port()).await;
    let labs = fleet(&proxy.url()).await;
    load(&labs, 300, async {
        for _ in 0..20 {
            proxy.reset_after_request(2);
            sleep(30 * MS).await;
        }
    })
    .await;
    assert!(
        proxy.lost_replies() >= 10,
        "{} were lost",
        proxy.lost_replies()
    );
}

#[tokio::test]
async fn a_service_whose_redis_is_gone_refuses_and_runs_nothing() {
    let redis = Redis::start().await;
    let lab = Lab::start_with(&[("IDEM_STORE", &redis.url())]).await;
    redis.kill();
    let answers: Vec<Answer> = join_all((0..200).map(|key| {
        let call = lab.post("lab", "gone").key(&format!("k{key}"));
        async move { timeout(PATIENCE, call.send()).await.unwrap() }
    }))
    .await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.problem(), "store-unavailable");
    }
    assert_eq!(lab.effects("gone"), 0);
    redis.restart().await;
    let answer = lab.post("lab", "gone").key("k0").insist().await;
    assert_eq!((answer.status, lab.effects("gone")), (StatusCode::OK, 1));
}
