//! A handler's transaction: what commits together, and what others see meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use common::{Place, RETENTION, grant, request, until, with_another_payload, won};
use futures_util::{future::join_all, poll};
use idem_core::{
    Begun, Claim, ClaimRequest, Claimed, Concluded, Ending, Fence, Grant, Store, StoreError,
    Transactional, Writes, Written,
};
use idem_sqlite::{OpenTransaction, Sqlite, SqliteStore};
use sqlx::{Connection, Executor};

type Open = OpenTransaction<Sqlite>;

/// A store with a table of the user's.
async fn shop(place: &Place) -> SqliteStore {
    let store = place.store().await;
    store
        .writer()
        .execute("CREATE TABLE IF NOT EXISTS effects (slot INTEGER)")
        .await
        .unwrap();
    store
}

async fn begun(store: &SqliteStore, request: ClaimRequest) -> (Open, Claimed) {
    match store.begin(request).await.unwrap() {
        Begun::Claimed(transaction, claimed) => (transaction, claimed),
        Begun::Not(claim) => panic!("the claim should have been won, and is {claim:?}"),
    }
}

async fn not_begun(store: &SqliteStore, request: ClaimRequest) -> Claim {
    match store.begin(request).await.unwrap() {
        Begun::Not(claim) => claim,
        Begun::Claimed(..) => panic!("the slot should be taken"),
    }
}

async fn write(connection: &mut Open, slot: i64) {
    sqlx::query("INSERT INTO effects VALUES (?1)")
        .bind(slot)
        .execute(&mut **connection)
        .await
        .unwrap();
}

/// As another connection sees them.
async fn effects(store: &SqliteStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effects")
        .fetch_one(store.readers())
        .await
        .unwrap()
}

fn recording(grant: Grant, writes: Writes) -> Ending {
    Ending::Complete {
        grant,
        record: "done".into(),
        retention: RETENTION,
        writes,
    }
}

fn is_recorded(claim: &Claim) -> bool {
    matches!(claim, Claim::Completed(completed) if completed.record == "done")
}

#[tokio::test]
async fn writes_and_record_are_seen_together_and_not_before() {
    let place = Place::new();
    let store = shop(&place).await;
    let request = request(1);
    let (mut transaction, claimed) = begun(&store, request).await;
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
    write(&mut transaction, 1).await;
    assert_eq!(effects(&store).await, 0);
    assert_eq!(store.inspect(request.slot).await.unwrap(), None);

    let ending = recording(grant(&request, &claimed), Writes::Keep);
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
    assert_eq!(effects(&store).await, 1);
    assert!(is_recorded(&not_begun(&store, common::request(1)).await));
    assert!(is_recorded(&store.claim(common::request(1)).await.unwrap()));
}

#[tokio::test]
async fn a_record_is_kept_of_what_was_rolled_back() {
    let place = Place::new();
    let store = shop(&place).await;
    let request = request(1);
    let (mut transaction, claimed) = begun(&store, request).await;
    write(&mut transaction, 1).await;
    let ending = recording(grant(&request, &claimed), Writes::RollBack);
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
    assert_eq!(effects(&store).await, 0);
    assert!(is_recorded(&not_begun(&store, common::request(1)).await));
}

#[tokio::test]
async fn a_release_undoes_the_writes_and_leaves_the_slot_to_a_retry_of_the_same() {
    let place = Place::new();
    let store = shop(&place).await;
    let request = request(1);
    let (mut transaction, claimed) = begun(&store, request).await;
    write(&mut transaction, 1).await;
    let ending = Ending::Release {
        grant: grant(&request, &claimed),
        ttl: RETENTION.ttl,
    };
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
    assert_eq!(effects(&store).await, 0);

    let other = not_begun(&store, with_another_payload(1)).await;
    assert_eq!(other, Claim::Mismatch);
    let (_retry, claimed) = begun(&store, common::request(1)).await;
    assert_eq!((claimed.fence.get(), claimed.attempt), (2, 2));
    assert!(!claimed.taken_over);
}

#[tokio::test]
async fn what_is_abandoned_was_never_there() {
    let place = Place::new();
    let store = shop(&place).await;
    let (mut transaction, _) = begun(&store, request(1)).await;
    write(&mut transaction, 1).await;
    let concluded = store.conclude(transaction, Ending::Abandon).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
    assert_eq!(effects(&store).await, 0);
    let (_next, claimed) = begun(&store, with_another_payload(1)).await;
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
}

#[tokio::test]
async fn what_is_dropped_was_never_there() {
    let place = Place::new();
    let store = shop(&place).await;
    for _ in 0..20 {
        let (mut transaction, _) = begun(&store, request(1)).await;
        write(&mut transaction, 1).await;
        drop(transaction);
        let (transaction, claimed) = begun(&store, with_another_payload(1)).await;
        assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
        drop(transaction);
    }
    assert_eq!(effects(&store).await, 0);
}

/// Polls `future` so many times, and drops it. Whether it had ended by then.
async fn dropped_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll!(&mut future).is_ready() {
            return true;
        }
        // Lets the connection's thread answer, or not.
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_that_is_dropped_at_any_moment_leaves_nothing_and_blocks_nothing() {
    let place = Place::new();
    let store = shop(&place).await;
    let mut ended = 0;
    for polls in 0..400 {
        // A value that has ended is dropped too: its transaction is.
        if dropped_after(polls, store.begin(request(1))).await {
            ended += 1;
        }
        if polls % 10 == 0 {
            let (transaction, claimed) = begun(&store, with_another_payload(1)).await;
            assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
            drop(transaction);
        }
    }
    assert!(ended > 0, "the last ones are polled until their end");
    assert_eq!(store.inspect(request(1).slot).await.unwrap(), None);
    won(&store, with_another_payload(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conclude_that_is_dropped_at_any_moment_has_done_all_or_nothing() {
    let place = Place::new();
    let store = shop(&place).await;
    let mut recorded = 0;
    for polls in 0..200 {
        let request = request(polls);
        let (mut transaction, claimed) = begun(&store, request).await;
        write(&mut transaction, 1).await;
        let ending = recording(grant(&request, &claimed), Writes::Keep);
        dropped_after(
            usize::try_from(polls).unwrap() / 4,
            store.conclude(transaction, ending),
        )
        .await;
        // Whoever has the writer now knows what became of it.
        match store.begin(common::request(polls)).await.unwrap() {
            Begun::Claimed(transaction, _) => drop(transaction),
            Begun::Not(claim) => {
                assert!(is_recorded(&claim), "{claim:?}");
                recorded += 1;
            }
        }
        assert_eq!(effects(&store).await, recorded);
    }
}

#[tokio::test]
async fn while_one_is_open_others_are_told_at_once_although_the_writer_is_taken() {
    let place = Place::new();
    let store = shop(&place).await;
    let (transaction, _) = begun(&store, request(1)).await;
    // If one of these waited for the writer, it would fail when it had waited for long
    // enough: nobody gives it back.
    for _ in 0..3 {
        let same = [
            not_begun(&store, request(1)).await,
            store.claim(request(1)).await.unwrap(),
        ];
        for claim in same {
            assert!(matches!(claim, Claim::InFlight { .. }), "{claim:?}");
        }
        let other = [
            not_begun(&store, with_another_payload(1)).await,
            store.claim(with_another_payload(1)).await.unwrap(),
        ];
        assert_eq!(other, [Claim::Mismatch, Claim::Mismatch]);
    }
    drop(transaction);
    begun(&store, with_another_payload(1)).await;
}

#[tokio::test]
async fn a_replay_is_served_while_a_transaction_is_open() {
    let place = Place::new();
    let store = shop(&place).await;
    let granted = won(&store, request(1)).await;
    let done = store.complete(granted, "done".into(), RETENTION).await;
    assert_eq!(done.unwrap(), Written::Done);

    let (_open, _) = begun(&store, request(2)).await;
    assert!(is_recorded(&store.claim(request(1)).await.unwrap()));
    assert!(is_recorded(&not_begun(&store, request(1)).await));
    assert_eq!(
        store.claim(with_another_payload(1)).await.unwrap(),
        Claim::Mismatch
    );
    assert!(store.inspect(request(1).slot).await.unwrap().is_some());
    store.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_hundred_at_once_one_is_claimed() {
    let place = Place::new();
    let store = shop(&place).await;
    let all = join_all((0..300).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.begin(request(1)).await.unwrap() })
    }))
    .await;
    let mut claimed = 0;
    for begun in &all {
        match begun.as_ref().unwrap() {
            Begun::Claimed(..) => claimed += 1,
            Begun::Not(claim) => assert!(matches!(claim, Claim::InFlight { .. }), "{claim:?}"),
        }
    }
    assert_eq!(claimed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_waits_for_the_writer_and_then_sees_the_record() {
    let place = Place::new();
    let store = shop(&place).await;
    let other = place
        .builder()
        .busy_timeout(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();
    let request = request(1);
    let (transaction, claimed) = begun(&store, request).await;
    let (plain, begin) = (other.clone(), place.store().await);
    let waiting = [
        tokio::spawn(async move { plain.claim(common::request(1)).await }),
        tokio::spawn(async move {
            Ok(loop {
                // Its own, shorter patience runs out as often as it likes.
                match begin.begin(common::request(1)).await {
                    Ok(Begun::Not(claim)) => break claim,
                    Ok(Begun::Claimed(..)) => panic!("it is taken"),
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            })
        }),
    ];
    // The other has its one connection out: it waits for the file.
    until("it asks for the write lock", || async {
        other.writer().num_idle() == 0
    })
    .await;
    assert!(!waiting[0].is_finished());

    let ending = recording(grant(&request, &claimed), Writes::Keep);
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
    for waited in waiting {
        let claim = waited.await.unwrap().unwrap();
        assert!(is_recorded(&claim), "{claim:?}");
    }
}

#[tokio::test]
async fn a_transaction_whose_claim_another_has_resolved_is_fenced() {
    let place = Place::new();
    let store = shop(&place).await;
    let request = request(1);
    let (mut transaction, claimed) = begun(&store, request).await;
    write(&mut transaction, 1).await;
    let stale = Grant {
        fence: claimed.fence.next(),
        ..grant(&request, &claimed)
    };
    let concluded = store.conclude(transaction, recording(stale, Writes::Keep));
    assert_eq!(concluded.await.unwrap(), Concluded::Fenced);
    assert_eq!(effects(&store).await, 0);
    begun(&store, with_another_payload(1)).await;
}

/// Concludes what the work has tampered with, and tells what it says, and then the slot.
async fn tampered(
    store: &SqliteStore,
    slot: u64,
    work: impl AsyncFnOnce(&mut Open),
    ending: impl FnOnce(Grant) -> Ending,
) -> (Result<Concluded, StoreError>, Claim) {
    let request = request(slot);
    let (mut transaction, claimed) = begun(store, request).await;
    work(&mut transaction).await;
    let ending = ending(grant(&request, &claimed));
    let concluded = store.conclude(transaction, ending).await;
    let claim = match store.begin(common::request(slot)).await.unwrap() {
        Begun::Claimed(_, claimed) => Claim::Claimed(claimed),
        Begun::Not(claim) => claim,
    };
    (concluded, claim)
}

async fn send(transaction: &mut Open, statements: &'static str) {
    sqlx::raw_sql(statements)
        .execute(&mut **transaction)
        .await
        .unwrap();
}

#[tokio::test]
async fn work_that_ends_the_transaction_itself_is_never_done_and_not_run_again() {
    let place = Place::new();
    let store = shop(&place).await;
    let tricks = [
        "INSERT INTO effects VALUES (1); COMMIT",
        "INSERT INTO effects VALUES (1); COMMIT; BEGIN",
        "INSERT INTO effects VALUES (1); COMMIT; BEGIN IMMEDIATE; INSERT INTO effects VALUES (2)",
        "INSERT INTO effects VALUES (1); COMMIT; SAVEPOINT other",
        "ROLLBACK; INSERT INTO effects VALUES (1)",
        "ROLLBACK; BEGIN; INSERT INTO effects VALUES (1); COMMIT",
        "ROLLBACK; BEGIN",
    ];
    let mut slot = 0;
    for trick in tricks {
        for writes in [Some(Writes::Keep), Some(Writes::RollBack), None] {
            slot += 1;
            let (concluded, claim) = tampered(
                &store,
                slot,
                async |transaction| send(transaction, trick).await,
                |grant| match writes {
                    Some(writes) => recording(grant, writes),
                    None => Ending::Release {
                        grant,
                        ttl: RETENTION.ttl,
                    },
                },
            )
            .await;
            assert_eq!(
                concluded.unwrap(),
                Concluded::Escaped,
                "{trick}, {writes:?}"
            );
            assert_eq!(claim, Claim::Unknown, "{trick}, {writes:?}");
        }
    }
}

#[tokio::test]
async fn what_work_has_committed_itself_is_not_run_again_though_its_process_is_gone() {
    let place = Place::new();
    let store = shop(&place).await;
    let request = ClaimRequest {
        lease: Duration::ZERO,
        ..request(1)
    };
    let (mut transaction, _) = begun(&store, request).await;
    write(&mut transaction, 1).await;
    send(&mut transaction, "COMMIT").await;
    // Nobody concludes it.
    drop(transaction);
    assert_eq!(not_begun(&store, common::request(1)).await, Claim::Unknown);
    let plain = store.claim(common::request(1)).await.unwrap();
    assert_eq!(plain, Claim::Unknown);
}

#[tokio::test]
async fn a_forgotten_savepoint_of_sqlxs_is_not_committed() {
    let place = Place::new();
    let store = shop(&place).await;
    let (concluded, claim) = tampered(
        &store,
        1,
        async |transaction| {
            write(transaction, 1).await;
            std::mem::forget(transaction.begin().await.unwrap());
        },
        |grant| recording(grant, Writes::Keep),
    )
    .await;
    let error = concluded.unwrap_err();
    assert!(error.to_string().contains("nested transaction"), "{error}");
    assert!(!error.is_ambiguous());
    assert!(matches!(claim, Claim::Claimed(_)), "{claim:?}");
    assert_eq!(effects(&store).await, 0);
}

#[tokio::test]
async fn a_forgotten_savepoint_does_not_hide_that_the_transaction_was_ended() {
    let place = Place::new();
    let store = shop(&place).await;
    for (slot, trick) in [(1, "COMMIT"), (2, "ROLLBACK")] {
        let (concluded, claim) = tampered(
            &store,
            slot,
            async |transaction| {
                send(transaction, trick).await;
                write(transaction, 1).await;
                std::mem::forget(transaction.begin().await.unwrap());
            },
            |grant| recording(grant, Writes::Keep),
        )
        .await;
        assert_eq!(concluded.unwrap(), Concluded::Escaped, "{trick}");
        assert_eq!(claim, Claim::Unknown, "{trick}");
    }
}

#[tokio::test]
async fn a_savepoint_of_the_works_own_is_part_of_it() {
    let place = Place::new();
    let store = shop(&place).await;
    let (concluded, claim) = tampered(
        &store,
        1,
        async |transaction| {
            let mut kept = transaction.begin().await.unwrap();
            kept.execute("INSERT INTO effects VALUES (1)")
                .await
                .unwrap();
            kept.commit().await.unwrap();
            let mut undone = transaction.begin().await.unwrap();
            undone
                .execute("INSERT INTO effects VALUES (2)")
                .await
                .unwrap();
            drop(undone);
        },
        |grant| recording(grant, Writes::Keep),
    )
    .await;
    assert_eq!(concluded.unwrap(), Concluded::Done);
    assert!(is_recorded(&claim));
    assert_eq!(effects(&store).await, 1);
}

#[tokio::test]
async fn a_failed_statement_does_not_spoil_the_transaction() {
    let place = Place::new();
    let store = shop(&place).await;
    let (concluded, claim) = tampered(
        &store,
        1,
        async |transaction| {
            write(transaction, 1).await;
            assert!(
                transaction
                    .execute("INSERT INTO nowhere VALUES (1)")
                    .await
                    .is_err()
            );
            assert!(transaction.execute("no statement").await.is_err());
            write(transaction, 2).await;
        },
        |grant| recording(grant, Writes::Keep),
    )
    .await;
    assert_eq!(concluded.unwrap(), Concluded::Done);
    assert!(is_recorded(&claim));
    assert_eq!(effects(&store).await, 2);
}

#[tokio::test]
async fn a_statement_that_rolls_back_everything_is_not_taken_for_done() {
    let place = Place::new();
    let store = shop(&place).await;
    store
        .writer()
        .execute("CREATE TABLE one (id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)")
        .await
        .unwrap();
    let (concluded, claim) = tampered(
        &store,
        1,
        async |transaction| {
            send(transaction, "INSERT INTO one VALUES (1)").await;
            assert!(
                transaction
                    .execute("INSERT INTO one VALUES (1)")
                    .await
                    .is_err()
            );
            // No transaction is open now: this commits by itself.
            write(transaction, 1).await;
        },
        |grant| recording(grant, Writes::Keep),
    )
    .await;
    assert_eq!(concluded.unwrap(), Concluded::Escaped);
    assert_eq!(claim, Claim::Unknown);
}

#[tokio::test]
async fn what_fails_at_its_commit_is_rolled_back_and_says_so() {
    let place = Place::new();
    let store = shop(&place).await;
    store
        .writer()
        .execute(
            "CREATE TABLE a (id INTEGER PRIMARY KEY); \
             CREATE TABLE b (a REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)",
        )
        .await
        .unwrap();
    let (concluded, claim) = tampered(
        &store,
        1,
        async |transaction| {
            write(transaction, 1).await;
            send(transaction, "INSERT INTO b VALUES (1)").await;
        },
        |grant| recording(grant, Writes::Keep),
    )
    .await;
    let error = concluded.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
    assert!(matches!(&claim, Claim::Claimed(claimed) if claimed.attempt == 1));
    assert_eq!(effects(&store).await, 0);
}

#[tokio::test]
async fn an_escape_that_cannot_be_marked_is_still_an_escape() {
    let place = Place::new();
    let store = place
        .builder()
        .busy_timeout(Duration::from_millis(1))
        .connect()
        .await
        .unwrap();
    let other = shop(&place).await;
    let request = request(1);
    let (mut transaction, claimed) = begun(&store, request).await;
    write(&mut transaction, 1).await;
    send(&mut transaction, "COMMIT").await;
    let (open, _) = begun(&other, common::request(2)).await;
    let ending = recording(grant(&request, &claimed), Writes::Keep);
    // Not `NotCommitted`: the write is there.
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Escaped);
    drop(open);
    assert_eq!(effects(&store).await, 1);
    let claim = store.claim(common::request(1)).await.unwrap();
    assert!(matches!(claim, Claim::InFlight { .. }), "{claim:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_escape_is_being_marked_nobody_runs_it_again() {
    let place = Place::new();
    let store = shop(&place).await;
    let other = place.store().await;
    let request = request(1);
    let (mut transaction, claimed) = begun(&store, request).await;
    send(&mut transaction, "ROLLBACK; INSERT INTO effects VALUES (1)").await;
    // Another process writes, so the mark has to wait.
    let (open, _) = begun(&other, common::request(2)).await;
    let ending = recording(grant(&request, &claimed), Writes::Keep);
    let mut concluding = pin!(store.conclude(transaction, ending));
    for _ in 0..50 {
        assert!(matches!(poll!(&mut concluding), Poll::Pending));
        let claim = not_begun(&store, common::request(1)).await;
        assert!(matches!(claim, Claim::InFlight { .. }), "{claim:?}");
    }
    drop(open);
    assert_eq!(concluding.await.unwrap(), Concluded::Escaped);
    assert_eq!(not_begun(&store, common::request(1)).await, Claim::Unknown);
}

#[tokio::test]
async fn why_steps_cannot_stand_beside_a_transaction_is_said_with_what_to_do() {
    let place = Place::new();
    let refused = shop(&place).await.refuses_to_open().unwrap();
    assert!(refused.contains("one writer"), "{refused}");
    assert!(refused.contains("take `Steps` alone"), "{refused}");
}
