//! Recovery points beside a transaction: the service is killed before, within and after
//! the step that reaches another bank.

use std::collections::HashSet;

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    bank::{Books, are_copies, prove},
    common::{Answer, Call, Lab},
};

/// Before the step, within it twice, and after it.
const POINTS: [&str; 5] = [
    "payout/debited",
    "wire/within",
    "wire/done",
    "payout/wired",
    "payout/entered",
];

/// Each debits an account of its own, so that none waits for another.
const PAYERS: [&str; 4] = ["ana", "bob", "cleo", "dan"];
const ROUNDS: usize = 2;

async fn node(books: &Books, before: Option<&Lab>) -> Lab {
    let url = books.url();
    let environment = [
        ("IDEM_STORE", url.as_str()),
        ("IDEM_STOPS", "yes"),
        ("IDEM_LEASE", "2s"),
    ];
    match before {
        None => Lab::start_example("ledger", &environment).await,
        Some(before) => before.successor("ledger", &environment).await,
    }
}

fn payout<'a>(node: &'a Lab, payer: &str, id: &str) -> Call<'a> {
    node.call(Method::POST, "/payouts")
        .user(payer)
        .key(id)
        .json(&json!({"iban": id, "amount": 7}))
}

/// The key and the reference of each wire.
fn wires(node: &Lab, id: &str) -> Vec<(String, String)> {
    let lines = node.lines().into_iter();
    let wires = lines.filter_map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        (words[1] == id).then(|| (words[2].to_owned(), words[3].to_owned()))
    });
    wires.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_a_payout_is_booked_once_and_its_finished_wire_is_never_sent_again() {
    let books = Books::postgres().await;
    let mut node = node(&books, None).await;
    let mut transfers = 0;
    for point in POINTS {
        for round in 0..ROUNDS {
            let payouts: Vec<_> = PAYERS
                .iter()
                .map(|payer| {
                    (
                        *payer,
                        format!("{payer}-{round}-{}", point.replace('/', "-")),
                    )
                })
                .collect();
            let firsts: Vec<_> = payouts
                .iter()
                .map(|(payer, id)| {
                    let first = payout(&node, payer, id).header("stop-at", point.as_bytes());
                    tokio::spawn(first.sent())
                })
                .collect();
            let stopped = format!("stopped at {point}");
            node.until_printed(&stopped, PAYERS.len()).await;
            node.kill().await;
            for first in firsts {
                assert!(first.await.unwrap().is_none());
            }
            node = self::node(&books, Some(&node)).await;
            let insisting = payouts.iter().map(|(payer, id)| insist(&node, payer, id));
            let answers = join_all(insisting).await;
            transfers += payouts.len();
            prove(&node, transfers).await;
            for ((payer, id), answer) in payouts.iter().zip(answers) {
                let wires = wires(&node, id);
                let interrupted = point == "wire/done";
                assert_eq!(wires.len(), if interrupted { 2 } else { 1 }, "{id}");
                let keys: HashSet<_> = wires.iter().map(|(key, _)| key).collect();
                assert_eq!(keys.len(), 1, "{id}");
                assert_eq!(answer.json()["reference"], wires.last().unwrap().1, "{id}");
                assert_eq!(answer.json()["attempt"], 2, "{id}");
                let again = insist(&node, payer, id).await;
                assert!(again.is_replay());
                are_copies(&[answer, again]);
            }
        }
    }
}

async fn insist(node: &Lab, payer: &str, id: &str) -> Answer {
    let answer = payout(node, payer, id).insist().await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payout_that_is_declined_wires_nothing_and_is_declined_again() {
    let books = Books::postgres().await;
    let node = node(&books, None).await;
    let call = || {
        node.call(Method::POST, "/payouts")
            .key("k")
            .json(&json!({"iban": "x", "amount": 100_001}))
    };
    let first = call().send().await;
    assert_eq!(first.status, StatusCode::PAYMENT_REQUIRED, "{first:?}");
    let again = call().send().await;
    assert!(again.is_replay());
    are_copies(&[first, again]);
    assert!(node.lines().is_empty());
    prove(&node, 0).await;
}
