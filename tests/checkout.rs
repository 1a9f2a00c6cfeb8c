//! Recovery points, over HTTP: an order in three steps, killed between and within each of
//! them. Real processes, real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::{HashMap, HashSet};

use axum::http::{Method, StatusCode};
use common::{Answer, Call, Lab};
use futures_util::future::join_all;
use idem_servers::{Postgres, Redis};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

const STEPS: [&str; 3] = ["reserve", "charge", "ship"];

/// How many orders stop at each point.
const ORDERS: usize = 16;

/// Long enough for a busy machine to renew in, and short enough to wait for.
const LEASE: &str = "2s";

/// Nodes of the checkout example over one store, each in the place of the one before.
struct Shop {
    node: Lab,
    environment: [(&'static str, String); 3],
}

impl Shop {
    async fn open(store: String) -> Self {
        let environment = [
            ("IDEM_STORE", store),
            ("IDEM_LEASE", LEASE.to_owned()),
            ("IDEM_STOPS", "yes".to_owned()),
        ];
        let node = Lab::start_example("checkout", &borrowed(&environment)).await;
        Self { node, environment }
    }

    /// `kill -9`, and another process with the same store and services.
    async fn kill_and_restart(&mut self) {
        self.node.kill().await;
        let environment = borrowed(&self.environment);
        self.node = self.node.successor("checkout", &environment).await;
    }

    fn order(&self, id: &str) -> Call<'_> {
        self.node
            .call(Method::POST, "")
            .key(id)
            .json(&json!({"id": id, "item": "tea", "cents": 900}))
    }

    /// What the services did, by order and service: the key and the answer of each call.
    fn effects(&self) -> HashMap<(String, String), Vec<(String, String)>> {
        let mut effects: HashMap<_, Vec<_>> = HashMap::new();
        for line in self.node.lines() {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let [service, order, key, answer] = &words[..] else {
                panic!("{line}");
            };
            let calls = effects.entry((order.clone(), service.clone())).or_default();
            calls.push((key.clone(), answer.clone()));
        }
        effects
    }

    /// The retries of an order have one answer, which is what the services said.
    async fn answered(&self, id: &str) -> Answer {
        let answer = self.order(id).insist().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let again = self.order(id).insist().await;
        assert_eq!((again.status, &again.body), (answer.status, &answer.body));
        assert!(again.is_replay());
        answer
    }
}

fn borrowed<'a>(environment: &'a [(&'static str, String); 3]) -> [(&'static str, &'a str); 3] {
    environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()))
}

struct Stores {
    postgres: Postgres,
    sqlite: tempfile::TempDir,
    redis: Redis,
}

impl Stores {
    async fn start() -> Self {
        Self {
            postgres: Postgres::start().await,
            sqlite: tempfile::tempdir().unwrap(),
            redis: Redis::start().await,
        }
    }

    fn urls(&self) -> [String; 3] {
        [
            self.postgres.url(),
            format!("sqlite:{}/shop.db", self.sqlite.path().display()),
            self.redis.url(),
        ]
    }
}

async fn killed_at_each_point(name: &str, store: String) {
    let mut shop = Shop::open(store).await;
    let mut points = vec![("answer", "before")];
    for step in STEPS {
        points.extend([(step, "before"), (step, "within"), (step, "done")]);
    }
    for (step, point) in points {
        let ids: Vec<_> = (0..ORDERS)
            .map(|n| format!("{name}-{step}-{point}-{n}"))
            .collect();
        let stop = format!("{step}/{point}");
        let firsts = ids
            .iter()
            .map(|id| shop.order(id).header("stop-at", stop.as_bytes()));
        let firsts: Vec<_> = firsts.map(|order| tokio::spawn(order.sent())).collect();
        shop.node
            .until_printed(&format!("stopped at {stop}"), ORDERS)
            .await;
        shop.kill_and_restart().await;
        for first in firsts {
            assert!(first.await.unwrap().is_none(), "it was killed");
        }

        let answers = join_all(ids.iter().map(|id| shop.answered(id))).await;
        let effects = shop.effects();
        for (id, answer) in ids.iter().zip(answers) {
            assert_eq!(answer.json()["attempt"], 2, "{id}");
            let said = ["stock", "charge", "parcel"].map(|field| answer.json()[field].clone());
            for (service, said) in STEPS.iter().zip(said) {
                let calls = &effects[&(id.clone(), (*service).to_owned())];
                // Only a step that was killed before its result was kept has happened again, and
                // its service can tell by the key.
                let interrupted = *service == step && point == "done";
                assert_eq!(
                    calls.len(),
                    if interrupted { 2 } else { 1 },
                    "{id} {service}"
                );
                let keys: HashSet<_> = calls.iter().map(|(key, _)| key).collect();
                assert_eq!(keys.len(), 1, "{id} {service}");
                assert_eq!(said, calls.last().unwrap().1, "{id} {service}");
            }
        }
    }
}

/// Many orders at once, and the node is killed when the services have had so many calls.
async fn killed_under_load(name: &str, store: String, seed: u64) {
    const ROUNDS: usize = 6;
    const KILLS: usize = 2;
    let mut random = StdRng::seed_from_u64(seed);
    let mut shop = Shop::open(store).await;
    for round in 0..ROUNDS {
        let ids: Vec<_> = (0..ORDERS)
            .map(|n| format!("{name}-round-{round}-{n}"))
            .collect();
        for _ in 0..KILLS {
            let before = shop.node.lines().len();
            let more = random.random_range(1..=ORDERS);
            let firsts = ids.iter().map(|id| tokio::spawn(shop.order(id).sent()));
            let firsts: Vec<_> = firsts.collect();
            let all_answered = || firsts.iter().all(tokio::task::JoinHandle::is_finished);
            common::until(|| shop.node.lines().len() >= before + more || all_answered()).await;
            shop.kill_and_restart().await;
        }
        let answers = join_all(ids.iter().map(|id| shop.answered(id))).await;
        let effects = shop.effects();
        for (id, answer) in ids.iter().zip(answers) {
            let attempts = answer.json()["attempt"].as_u64().unwrap();
            let said = ["stock", "charge", "parcel"].map(|field| answer.json()[field].clone());
            let mut calls_in_all = 0;
            for (service, said) in STEPS.iter().zip(said) {
                let calls = &effects[&(id.clone(), (*service).to_owned())];
                calls_in_all += calls.len() as u64;
                let keys: HashSet<_> = calls.iter().map(|(key, _)| key).collect();
                assert_eq!(keys.len(), 1, "{id} {service}");
                assert_eq!(said, calls.last().unwrap().1, "{id} {service}");
            }
            // Each kill interrupts one step at the most, so that much may happen again and no more.
            assert!(calls_in_all < 3 + attempts, "{id}: {effects:?}");
        }
    }
}

/// On each store, side by side: most of the time they wait for leases to lapse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_and_within_the_steps() {
    let stores = Stores::start().await;
    let [postgres, sqlite, redis] = stores.urls();
    tokio::join!(
        killed_at_each_point("postgres", postgres),
        killed_at_each_point("sqlite", sqlite),
        killed_at_each_point("redis", redis),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment() {
    let stores = Stores::start().await;
    let [postgres, sqlite, redis] = stores.urls();
    tokio::join!(
        killed_under_load("postgres", postgres, 1),
        killed_under_load("sqlite", sqlite, 2),
        killed_under_load("redis", redis, 3),
    );
}
