//! The secret is changed while nodes of two neighbouring stages claim the same keys.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Place, RETENTION, request};
use futures_util::future::join_all;
use idem_core::testing::Stages;
use idem_core::{
    Alias, Begun, Claim, ClaimRequest, Concluded, Ending, Fingerprint, Grant, Store, Transactional,
    Under, Worked, Writes,
};
use idem_sqlite::{Sqlite, SqliteStore, Tx};
use sqlx::Executor;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_duplicates_at_neighbouring_stages_run_once() {
    let place = Place::new();
    let stages = Stages::over([place.store().await, place.store().await]).unwrap();
    stages.race(40, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_transactions_at_neighbouring_stages_commit_once() {
    let place = Place::new();
    let (one, other) = (place.store().await, place.store().await);
    one.writer()
        .execute("CREATE TABLE effects (x)")
        .await
        .unwrap();
    // In one process, which knows what it runs, and in two.
    for stores in [[one.clone(), one.clone()], [one.clone(), other]] {
        let stages = Stages::over(stores).unwrap();
        let first: i64 = effects(&one).await;
        for number in 0..30 {
            let key = usize::try_from(first).unwrap() + number;
            let racing = (0..4).map(|index| {
                let node = &stages.nodes()[index % 2];
                let work = |mut tx: Tx<Sqlite>| async move {
                    tx.execute("INSERT INTO effects VALUES (1)").await.unwrap();
                    Worked {
                        finish: Stages::done(),
                        writes: Writes::Keep,
                        conflict: false,
                    }
                };
                tokio::spawn(node.execute_in(Stages::call(node, key), work))
            });
            let racing: Vec<_> = racing.collect();
            let outcomes: Vec<_> = join_all(racing).await;
            let runs = effects(&one).await - first;
            assert_eq!(usize::try_from(runs).unwrap(), number + 1, "{outcomes:?}");
        }
    }
}

async fn effects(store: &SqliteStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effects")
        .fetch_one(store.readers())
        .await
        .unwrap()
}

/// A claim of slot `own`, which `alias` may be another name of.
fn by_two(own: u64, alias: u64) -> ClaimRequest {
    let asked = |slot: u64| Fingerprint::from_bytes([u8::try_from(slot).unwrap(); 32]);
    ClaimRequest {
        fingerprint: asked(own),
        alias: Some(Alias {
            slot: request(alias).slot,
            fingerprint: asked(alias),
        }),
        ..request(own)
    }
}

#[tokio::test]
async fn a_transaction_has_both_names_in_its_process_and_ends_under_the_one_that_is_stored() {
    let place = Place::new();
    let store = place.store().await;
    let claimed = by_two(1, 2);
    let Begun::Claimed(open, won) = store.begin(claimed).await.unwrap() else {
        panic!("nobody else claims it")
    };
    for request in [by_two(1, 2), by_two(2, 1)] {
        let begun = store.begin(request).await.unwrap();
        assert!(
            matches!(begun, Begun::Not(Claim::InFlight { .. })),
            "{begun:?}"
        );
        let claim = store.claim(request).await.unwrap();
        assert!(matches!(claim, Claim::InFlight { .. }), "{claim:?}");
    }
    let released = Ending::Release {
        grant: Grant {
            slot: claimed.under(won.under).slot,
            owner: claimed.owner,
            fence: won.fence,
        },
        ttl: RETENTION.ttl,
    };
    let ended = store.conclude(open, released).await.unwrap();
    assert_eq!(ended, Concluded::Done);

    let claimed = by_two(2, 1);
    let Begun::Claimed(open, won) = store.begin(claimed).await.unwrap() else {
        panic!("it was released")
    };
    assert_eq!((won.under, won.attempt), (Under::Alias, 2));
    let completed = Ending::Complete {
        grant: Grant {
            slot: request(1).slot,
            owner: claimed.owner,
            fence: won.fence,
        },
        record: "done".into(),
        retention: RETENTION,
        writes: Writes::Keep,
    };
    let ended = store.conclude(open, completed).await.unwrap();
    assert_eq!(ended, Concluded::Done);
    for (request, under) in [(by_two(1, 2), Under::Slot), (by_two(2, 1), Under::Alias)] {
        match store.begin(request).await.unwrap() {
            Begun::Not(Claim::Completed(found)) => assert_eq!(found.under, under),
            begun => panic!("{begun:?}"),
        }
    }
    assert_eq!(store.inspect(request(2).slot).await.unwrap(), None);
}

/// The escape is marked where the claim was.
#[tokio::test]
async fn work_that_ends_its_transaction_itself_is_unknown_under_both_names() {
    let place = Place::new();
    let store = place.store().await;
    let silent = common::won(
        &store,
        ClaimRequest {
            alias: None,
            ..by_two(1, 2)
        },
    )
    .await;
    let _ = store.release(silent, RETENTION.ttl).await.unwrap();
    let claimed = by_two(2, 1);
    let Begun::Claimed(mut open, won) = store.begin(claimed).await.unwrap() else {
        panic!("it was released")
    };
    sqlx::raw_sql("COMMIT").execute(&mut *open).await.unwrap();
    let ending = Ending::Release {
        grant: Grant {
            fence: won.fence,
            owner: claimed.owner,
            ..silent
        },
        ttl: RETENTION.ttl,
    };
    let ended = store.conclude(open, ending).await.unwrap();
    assert_eq!(ended, Concluded::Escaped);
    for request in [by_two(1, 2), by_two(2, 1)] {
        assert_eq!(store.claim(request).await.unwrap(), Claim::Unknown);
    }
    assert_eq!(store.inspect(request(2).slot).await.unwrap(), None);
}
