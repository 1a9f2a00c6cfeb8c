//! A cluster whose slots move while they are in use.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use bytes::Bytes;
use common::{RETENTION, again, completed, connect, grant, insist, recorded, request, won};
use idem_core::{Claim, ClaimRequest, ListQuery, Slot, Store, Written};
use idem_servers::{Cluster, slot_of};

fn hash_slot(request: &ClaimRequest) -> u16 {
    slot_of(&format!("idem:{}", request.slot))
}

/// Another request whose key is in the same hash slot.
fn neighbour(of: &ClaimRequest) -> ClaimRequest {
    (0..u64::MAX)
        .map(|number| {
            let mut slot = [0; 32];
            slot[..8].copy_from_slice(&number.to_be_bytes());
            ClaimRequest {
                slot: Slot::from_bytes(slot),
                ..request()
            }
        })
        .find(|request| hash_slot(request) == hash_slot(of))
        .unwrap()
}

#[tokio::test]
async fn a_slot_that_is_moving_is_followed_and_owned_once() {
    let cluster = Cluster::start().await;
    let store = connect(&cluster.url()).await;
    let (done, running) = (completed(&store, "answer").await, request());
    let fresh = neighbour(&done);
    let slot = hash_slot(&done);
    let from = cluster.master_of(slot).await;
    let to = (from + 1) % 3;

    cluster.begin_migration(slot, from, to).await;
    // What is still there is answered there, what is absent is asked for at the
    // new place (ASK), and the old place's answer is not taken for "absent".
    assert_eq!(recorded(&store.claim(again(done)).await.unwrap()), "answer");
    let fence = won(&store.claim(fresh).await.unwrap()).fence;
    let other = store.claim(again(fresh)).await.unwrap();
    assert!(matches!(other, Claim::InFlight { .. }), "{other:?}");

    cluster.migrate_keys(slot, from, to).await;
    assert_eq!(recorded(&store.claim(again(done)).await.unwrap()), "answer");
    cluster.finish_migration(slot, from, to).await;
    // MOVED.
    let answer = Bytes::from("fresh");
    let written = store
        .complete(grant(&fresh, fence), answer, RETENTION)
        .await;
    assert_eq!(written.unwrap(), Written::Done);
    assert_eq!(recorded(&store.claim(again(fresh)).await.unwrap()), "fresh");
    assert_eq!(recorded(&store.claim(again(done)).await.unwrap()), "answer");

    // Elsewhere nothing has changed.
    won(&store.claim(running).await.unwrap());
}

/// A hundred slots walk from node to node while claims, completions and
/// duplicates go on: nobody sees an error, nothing is owned twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resharding_under_load_is_not_noticed() {
    let cluster = Cluster::start().await;
    let store = connect(&cluster.url()).await;
    let requests: Vec<_> = (0..100).map(|_| request()).collect();
    let load = async {
        for round in 0..20 {
            let rounds = requests.iter().map(|request| {
                let store = &store;
                async move {
                    match insist(|| store.claim(*request)).await.unwrap() {
                        Claim::Claimed(claimed) => {
                            assert_eq!((round, claimed.attempt), (0, 1));
                            let grant = grant(request, claimed.fence);
                            let record = Bytes::from(request.slot.to_string());
                            let complete = || store.complete(grant, record.clone(), RETENTION);
                            assert_eq!(insist(complete).await.unwrap(), Written::Done);
                        }
                        claim => assert_eq!(recorded(&claim), &request.slot.to_string()),
                    }
                }
            });
            futures_util::future::join_all(rounds).await;
        }
    };
    let moves = async {
        for request in requests.iter().take(20) {
            let slot = hash_slot(request);
            let from = cluster.master_of(slot).await;
            cluster.migrate_slot(slot, from, (from + 1) % 3).await;
        }
    };
    tokio::join!(load, moves);
    let query = ListQuery {
        state: None,
        after: None,
        limit: 1000,
    };
    assert_eq!(store.list(query).await.unwrap().slots.len(), 100);
}
