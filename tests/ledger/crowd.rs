//! Many at once.

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use idem_servers::until;
use serde_json::json;

use crate::bank::{Books, Transfer, are_copies, prove};

async fn three_hundred_identical_transfers_to_three_nodes(books: Books) {
    let nodes = [books.node().await, books.node().await, books.node().await];
    let transfer = Transfer::number(1);
    let calls = (0..300).map(|number| transfer.to(&nodes[number % 3]).send());
    let answers = join_all(calls).await;
    let (done, told): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::CREATED);
    let first = done.iter().filter(|answer| !answer.is_replay());
    assert!(first.count() <= 1);
    // Who is not told the answer is told to ask again.
    assert!(told.iter().all(crate::bank::may_pass), "{told:?}");
    are_copies(&done);
    let answer = transfer.insist(&nodes[0]).await;
    assert!(answer.is_replay());
    assert!(done.iter().all(|other| other.body == answer.body));
    prove(&nodes[2], 1).await;
}

#[tokio::test]
async fn of_300_identical_transfers_to_three_nodes_one_happens_on_postgres() {
    three_hundred_identical_transfers_to_three_nodes(Books::postgres().await).await;
}

#[tokio::test]
async fn of_300_identical_transfers_to_three_nodes_one_happens_on_sqlite() {
    three_hundred_identical_transfers_to_three_nodes(Books::sqlite()).await;
}

/// They lock the same accounts in opposite orders, so that some of them meet in a
/// deadlock, and run again.
#[tokio::test]
async fn transfers_back_and_forth_give_way_to_each_other_and_all_happen() {
    let books = Books::postgres().await;
    let Books::Postgres(server) = &books else {
        unreachable!()
    };
    let nodes = [books.node().await, books.node().await];
    let transfers: Vec<_> = (0..40).map(Transfer::number).collect();
    let calls = transfers.iter().zip(nodes.iter().cycle());
    let answers = join_all(calls.map(|(transfer, node)| transfer.insist(node))).await;
    assert_eq!(answers.len(), 40);
    prove(&nodes[0], 40).await;
    // Statistics of a session come in when it ends, at the latest.
    drop(nodes);
    until("the deadlocks are counted", || async {
        let deadlocks = "SELECT deadlocks::text FROM pg_stat_database WHERE datname = 'idem'";
        server
            .text(deadlocks)
            .await
            .is_some_and(|count| count != "0")
    })
    .await;
}

#[tokio::test]
async fn a_declined_transfer_is_recorded_and_leaves_nothing_in_the_books() {
    for books in [Books::postgres().await, Books::sqlite()] {
        let node = books.node().await;
        let call = node
            .call(Method::POST, "/transfers")
            .user("ana")
            .key("too-much")
            .json(&json!({"to": "bob", "amount": 999_999_999}));
        let first = call.clone().send().await;
        let again = call.clone().send().await;
        assert_eq!(first.status, StatusCode::PAYMENT_REQUIRED);
        assert!(!first.is_replay() && again.is_replay());
        are_copies(&[first, again]);
        prove(&node, 0).await;
        let other = call.json(&json!({"to": "bob", "amount": 1})).send().await;
        assert_eq!(other.problem(), "key-reused");
    }
}
