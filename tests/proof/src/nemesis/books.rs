//! Transfers of the ledger example: handlers that take the store's transaction, for which there is
//! no excuse. Each happens once, whatever dies when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::Full;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    LEDGERS,
    calls::{ANSWERED, Caller, post, problem},
    fleet::{Node, Program},
};

/// All transfers, and what their clients were told.
#[derive(Debug, Clone)]
pub(super) struct Books {
    caller: Caller,
    nodes: Arc<Vec<Node>>,
    next: Arc<AtomicU32>,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    /// The answers to each transfer: status and body.
    answers: BTreeMap<u32, BTreeSet<(u16, String)>>,
    kinds: BTreeMap<String, u64>,
    violations: Vec<String>,
}

/// What came of the transfers.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// How many keys were used: rows, records and answers.
    pub(super) transfers: usize,
    /// Answers by kind.
    pub(super) kinds: BTreeMap<String, u64>,
    /// What must not be.
    pub(super) violations: Vec<String>,
}

impl Books {
    pub(super) fn new(caller: Caller, nodes: Arc<Vec<Node>>) -> Self {
        Self {
            caller,
            nodes,
            next: Arc::default(),
            told: Arc::default(),
        }
    }

    fn ledgers(&self) -> Vec<&Node> {
        let nodes = self.nodes.iter();
        nodes
            .filter(|node| node.program == Program::Ledger)
            .collect()
    }

    /// One of the clients, until the time is over.
    pub(super) async fn client(self, seed: u64, until: Duration) {
        let mut random = StdRng::seed_from_u64(seed);
        while self.caller.clock.now() < until {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            for _ in 0..20 {
                let leaves = random.random_bool(0.15);
                let leaves = leaves.then(|| Duration::from_millis(random.random_range(1..60)));
                let first = self.send(number, number, random.random_range(0..LEDGERS), leaves);
                let second = self.send(number, number, random.random_range(0..LEDGERS), None);
                let done = if random.random_bool(0.3) {
                    let (first, second) = tokio::join!(first, second);
                    first || second
                } else {
                    first.await
                };
                if done || self.caller.clock.now() > until {
                    break;
                }
                sleep(Duration::from_millis(random.random_range(20..300))).await;
            }
            if random.random_bool(0.2) {
                // Once more, and with another amount.
                self.send(number, number, random.random_range(0..LEDGERS), None)
                    .await;
                if self.is_answered(number) {
                    self.send(number, number + 1, random.random_range(0..LEDGERS), None)
                        .await;
                }
            }
            sleep(Duration::from_millis(random.random_range(0..60))).await;
        }
    }

    fn is_answered(&self, number: u32) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.answers.contains_key(&number)
    }

    /// Sends a transfer with the key of `number` and the amount of `amount`. Whether it was answered.
    async fn send(&self, number: u32, amount: u32, node: usize, leaves: Option<Duration>) -> bool {
        let ledgers = self.ledgers();
        let node = ledgers[node % ledgers.len()];
        let request = transfer(&node.address, number, amount);
        let asked = self.caller.clock.now();
        let answer = timeout(
            leaves.unwrap_or(2 * ANSWERED),
            self.caller.exchange(request),
        )
        .await;
        let took = self.caller.clock.now() - asked;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if took > ANSWERED {
            told.violations
                .push(format!("transfer {number} took {took:?}"));
        }
        let (status, headers, body) = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                *told.kinds.entry("connection lost".to_owned()).or_default() += 1;
                return false;
            }
            Err(_) => {
                *told.kinds.entry("client left".to_owned()).or_default() += 1;
                return false;
            }
        };
        let problem = problem(&headers, &body);
        let passes = match problem.as_deref() {
            Some("store-unavailable" | "not-committed" | "in-progress") => true,
            Some("key-reused") => number != amount,
            Some(_) => false,
            None if status == StatusCode::CREATED => number == amount,
            // The handler's own word for a statement that failed: released.
            None => body == "the books cannot be reached",
        };
        if !passes {
            told.violations.push(format!(
                "transfer {number} with the amount of {amount} was told {status} {body}"
            ));
        }
        let kind = problem.unwrap_or_else(|| status.as_u16().to_string());
        *told.kinds.entry(kind).or_default() += 1;
        if number == amount && status == StatusCode::CREATED {
            let answers = told.answers.entry(number).or_default();
            answers.insert((status.as_u16(), body));
            return true;
        }
        number != amount
    }

    /// Everything is well again: each transfer is answered, and the books have each of them once.
    pub(super) async fn settle(&self, give_up: Duration) -> Account {
        let transfers = self.next.load(Ordering::SeqCst);
        for number in 0..transfers {
            let mut node = 0;
            while !self.send(number, number, node, None).await {
                node += 1;
                if self.caller.clock.now() > give_up {
                    self.fault(format!("transfer {number} is never answered"));
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        let audit = self.audit().await;
        if audit["transfers"] != transfers || audit["balanced"] != true {
            self.fault(format!("{transfers} transfers, and the books say {audit}"));
        }
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut violations = told.violations.clone();
        let mut ids = BTreeSet::new();
        for (number, answers) in &told.answers {
            if answers.len() != 1 {
                violations.push(format!(
                    "transfer {number} has several answers: {answers:?}"
                ));
            }
            for (_, body) in answers {
                let receipt: Value = serde_json::from_str(body).unwrap_or_default();
                if receipt["amount"] != number + 1 || !ids.insert(receipt["transfer"].as_i64()) {
                    violations.push(format!("transfer {number} has the receipt {body}"));
                }
            }
        }
        Account {
            transfers: transfers as usize,
            kinds: told.kinds.clone(),
            violations,
        }
    }

    async fn audit(&self) -> Value {
        let address = &self.ledgers()[0].address;
        let request = Request::get(format!("http://{address}/audit"))
            .body(Full::default())
            .expect("a request");
        let answer = self.caller.exchange(request).await;
        answer
            .and_then(|(_, _, body)| serde_json::from_str(&body).ok())
            .unwrap_or_default()
    }

    fn fault(&self, what: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.violations.push(what);
    }
}

/// No two have the same amount. Back and forth, so that nobody runs out of money.
fn transfer(address: &str, number: u32, amount: u32) -> Request<Full<bytes::Bytes>> {
    let (payer, payee) = match number % 4 {
        0 => ("ana", "bob"),
        1 => ("bob", "ana"),
        2 => ("ana", "cleo"),
        _ => ("cleo", "ana"),
    };
    let body = json!({ "to": payee, "amount": amount + 1 });
    post(address, "/transfers", payer, &format!("t{number}"))
        .body(Full::new(body.to_string().into()))
        .expect("a request")
}
