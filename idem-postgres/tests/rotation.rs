//! The secret is changed while nodes of two neighbouring stages claim the same keys.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use bytes::Bytes;
use futures_util::future::join_all;
use idem_core::testing::Stages;
use idem_core::{
    Alias, Begun, Claim, ClaimRequest, Claimed, Concluded, Ending, Execution, Fingerprint, Grant,
    OwnerId, Slot, SlotState, Store, Transactional, Under, Worked, Writes,
};
use idem_postgres::{Isolation, OpenTransaction, Postgres as Db, PostgresStore, Tx};
use idem_servers::Postgres;

use common::{RECORD, RETENTION, database, request};

/// Two nodes' stores of the same tables, and a table for the work's writes.
async fn stores(server: &Postgres, isolation: Isolation) -> [PostgresStore; 2] {
    let url = database(server).await;
    let connect = || PostgresStore::builder(&url).isolation(isolation).connect();
    let stores = [connect().await.unwrap(), connect().await.unwrap()];
    stores[0].migrate().await.unwrap();
    sqlx::raw_sql("CREATE TABLE effects (name TEXT)")
        .execute(stores[0].pool())
        .await
        .unwrap();
    stores
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_duplicates_at_neighbouring_stages_run_once() {
    let server = Postgres::start().await;
    let stages = Stages::over(stores(&server, Isolation::Default).await).unwrap();
    stages.race(60, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_transactions_at_neighbouring_stages_commit_once_at_every_isolation() {
    let server = Postgres::start().await;
    for isolation in [
        Isolation::ReadCommitted,
        Isolation::RepeatableRead,
        Isolation::Serializable,
    ] {
        let stores = stores(&server, isolation).await;
        let pool = stores[0].pool().clone();
        let stages = Stages::over(stores).unwrap();
        for key in 0..40 {
            let racing = (0..6).map(|index| {
                let node = &stages.nodes()[index % 2];
                let work = move |mut tx: Tx<Db>| async move {
                    sqlx::query("INSERT INTO effects VALUES ($1)")
                        .bind(key.to_string())
                        .execute(&mut *tx)
                        .await
                        .unwrap();
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
            let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM effects WHERE name = $1")
                .bind(key.to_string())
                .fetch_one(&pool)
                .await
                .unwrap();
            assert_eq!(effects, 1, "{isolation:?}: {outcomes:?}");
            for node in stages.nodes() {
                let work = |_: Tx<Db>| async { panic!("it ran again") };
                let again: Execution<()> = node.execute_in(Stages::call(node, key), work).await;
                assert!(matches!(again, Execution::Replayed(_)), "{again:?}");
            }
        }
    }
}

/// A claim of slot `own`, which `alias` may be another name of.
fn by_two(own: u8, alias: u8) -> ClaimRequest {
    ClaimRequest {
        fingerprint: Fingerprint::from_bytes([own; 32]),
        alias: Some(Alias {
            slot: Slot::from_bytes([alias; 32]),
            fingerprint: Fingerprint::from_bytes([alias; 32]),
        }),
        ..request([own; 32])
    }
}

/// The same with another payload.
fn with_another_payload(request: ClaimRequest) -> ClaimRequest {
    let fingerprint = Fingerprint::from_bytes([99; 32]);
    ClaimRequest {
        fingerprint,
        owner: OwnerId::random(),
        alias: request.alias.map(|alias| Alias {
            fingerprint,
            ..alias
        }),
        ..request
    }
}

async fn begun(
    store: &PostgresStore,
    request: ClaimRequest,
) -> (OpenTransaction<Db>, Grant, Claimed) {
    match store.begin(request).await.unwrap() {
        Begun::Claimed(transaction, claimed) => {
            let grant = Grant {
                slot: request.under(claimed.under).slot,
                owner: request.owner,
                fence: claimed.fence,
            };
            (transaction, grant, claimed)
        }
        Begun::Not(claim) => panic!("{claim:?}"),
    }
}

async fn met(store: &PostgresStore, request: ClaimRequest) -> Claim {
    match store.begin(request).await.unwrap() {
        Begun::Claimed(_, claimed) => panic!("{claimed:?}"),
        Begun::Not(claim) => claim,
    }
}

fn complete(grant: Grant, writes: Writes) -> Ending {
    Ending::Complete {
        grant,
        record: Bytes::from_static(RECORD),
        retention: RETENTION,
        writes,
    }
}

async fn state(store: &PostgresStore, slot: u8) -> Option<SlotState> {
    let view = store.inspect(Slot::from_bytes([slot; 32])).await.unwrap();
    view.map(|view| view.state)
}

#[tokio::test]
async fn while_one_name_is_open_the_other_is_told_at_once() {
    let server = Postgres::start().await;
    let [here, there] = stores(&server, Isolation::Default).await;
    let (open, grant, claimed) = begun(&here, by_two(1, 2)).await;
    assert_eq!(claimed.under, Under::Slot);
    for request in [by_two(1, 2), by_two(2, 1)] {
        assert!(matches!(met(&there, request).await, Claim::InFlight { .. }));
        let other = with_another_payload(request);
        assert_eq!(met(&there, other).await, Claim::Mismatch);
    }
    let ended = here.conclude(open, complete(grant, Writes::Keep)).await;
    assert_eq!(ended.unwrap(), Concluded::Done);
    for (request, under) in [(by_two(1, 2), Under::Slot), (by_two(2, 1), Under::Alias)] {
        match met(&there, request).await {
            Claim::Completed(found) => assert_eq!(found.under, under),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            met(&there, with_another_payload(request)).await,
            Claim::Mismatch
        );
    }
    assert_eq!(state(&here, 2).await, None);
}

#[tokio::test]
async fn what_is_released_is_begun_under_the_name_that_it_has_and_ends_there() {
    let server = Postgres::start().await;
    for (slot, isolation) in [
        (1, Isolation::Default),
        (11, Isolation::RepeatableRead),
        (21, Isolation::Serializable),
    ] {
        let [here, there] = stores(&server, isolation).await;
        let other = slot + 1;
        let (open, grant, _) = begun(&here, by_two(slot, other)).await;
        let release = |grant| Ending::Release {
            grant,
            ttl: RETENTION.ttl,
        };
        let ended = here.conclude(open, release(grant)).await;
        assert_eq!(ended.unwrap(), Concluded::Done);
        // From the other side: it is claimed, undone and claimed once more, always
        // under the name that it has.
        for attempt in 2..4 {
            let (open, grant, claimed) = begun(&there, by_two(other, slot)).await;
            assert_eq!((claimed.under, claimed.attempt), (Under::Alias, attempt));
            assert_eq!(grant.slot, Slot::from_bytes([slot; 32]));
            let ended = there.conclude(open, release(grant)).await;
            assert_eq!(ended.unwrap(), Concluded::Done);
            assert_eq!(state(&here, slot).await, Some(SlotState::Released));
        }
        let (open, grant, _) = begun(&there, by_two(other, slot)).await;
        let ended = there
            .conclude(open, complete(grant, Writes::RollBack))
            .await;
        assert_eq!(ended.unwrap(), Concluded::Done);
        assert!(matches!(
            state(&here, slot).await,
            Some(SlotState::Completed { .. })
        ));
        assert_eq!(state(&here, other).await, None);
    }
}

/// A record is kept of what was rolled back: the claim is undone and made again, and
/// nobody comes in between under the other name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_between_while_a_claim_is_undone_and_made_again() {
    let server = Postgres::start().await;
    let [here, there] = stores(&server, Isolation::Default).await;
    for slot in (10..50).step_by(2) {
        let (open, grant, _) = begun(&here, by_two(slot, slot + 1)).await;
        let intruder = there.clone();
        let intruding = tokio::spawn(async move {
            loop {
                match intruder.begin(by_two(slot + 1, slot)).await.unwrap() {
                    Begun::Not(Claim::InFlight { .. }) => {}
                    begun => return begun,
                }
            }
        });
        let ended = here.conclude(open, complete(grant, Writes::RollBack)).await;
        assert_eq!(ended.unwrap(), Concluded::Done);
        let begun = intruding.await.unwrap();
        assert!(
            matches!(begun, Begun::Not(Claim::Completed(_))),
            "{begun:?}"
        );
    }
}

/// An escape is marked where the claim was, and neither name runs again.
#[tokio::test]
async fn work_that_ends_its_transaction_itself_is_unknown_under_both_names() {
    let server = Postgres::start().await;
    let [here, there] = stores(&server, Isolation::Default).await;
    let (open, grant, _) = begun(&here, by_two(1, 2)).await;
    let release = Ending::Release {
        grant,
        ttl: RETENTION.ttl,
    };
    assert_eq!(here.conclude(open, release).await.unwrap(), Concluded::Done);
    let (mut open, grant, _) = begun(&there, by_two(2, 1)).await;
    sqlx::raw_sql("INSERT INTO effects VALUES ('x'); COMMIT")
        .execute(&mut *open)
        .await
        .unwrap();
    let ended = there.conclude(open, complete(grant, Writes::Keep)).await;
    assert_eq!(ended.unwrap(), Concluded::Escaped);
    for request in [by_two(1, 2), by_two(2, 1)] {
        assert_eq!(met(&there, request).await, Claim::Unknown);
        let claim = here.claim(ClaimRequest {
            owner: OwnerId::random(),
            ..request
        });
        assert_eq!(claim.await.unwrap(), Claim::Unknown);
    }
    assert_eq!(state(&here, 2).await, None);
}
