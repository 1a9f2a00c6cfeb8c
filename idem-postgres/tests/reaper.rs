//! Expired rows go, in small steps, whoever deletes them; and the table stops growing.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use idem_core::{Claim, OnCrash, Retention, ScopeTag, Slot, Store};
use idem_postgres::PostgresStore;
use idem_servers::{Postgres, until};

/// Rows that are due: completed an hour ago.
async fn expired(store: &PostgresStore, rows: u32) {
    sqlx::query(
        "INSERT INTO idem.slots (slot, fingerprint, owner, fence, attempt, state, refuse, \
         taken_over, retention, until, delete_at, reap_at, record) \
         SELECT sha256(n::text::bytea), $2, $3, 9, 9, 2, false, false, '1 s', \
         now() - interval '2 h', now() - interval '1 h', now() - interval '1 h', 'x' \
         FROM generate_series(1, $1) AS n",
    )
    .bind(i32::try_from(rows).unwrap())
    .bind([7_u8; 32].to_vec())
    .bind([1_u8; 16].to_vec())
    .execute(store.pool())
    .await
    .unwrap();
}

async fn rows(store: &PostgresStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM idem.slots")
        .fetch_one(store.pool())
        .await
        .unwrap()
}

async fn idle(server: &Postgres) -> PostgresStore {
    let store = common::builder(server).await.without_reaper();
    let store = store.connect().await.unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn only_what_is_expired_is_deleted_in_bounded_steps() {
    let server = Postgres::start().await;
    let store = idle(&server).await;
    expired(&store, 25).await;
    common::claim_and_complete(&store, [1; 32]).await;
    let mut refused = common::request([2; 32]);
    refused.on_crash = OnCrash::Refuse;
    refused.lease = Duration::from_millis(1);
    refused.retention = Retention {
        ttl: Duration::from_millis(1),
        grace: Duration::ZERO,
    };
    common::claimed(&store, refused).await;

    // One that is expired and still there is as good as absent, and claimed anew it stays.
    let due = sqlx::query_scalar("SELECT slot FROM idem.slots WHERE record = 'x' LIMIT 1");
    let due: Vec<u8> = due.fetch_one(store.pool()).await.unwrap();
    let due = common::request(due.try_into().unwrap());
    assert!(store.inspect(due.slot).await.unwrap().is_none());
    let Claim::Claimed(claimed) = store.claim(due).await.unwrap() else {
        unreachable!("it is free")
    };
    assert_eq!((claimed.fence.get(), claimed.attempt), (1, 1));

    // A row that somebody holds is left to them.
    let mut holder = store.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM idem.slots WHERE record = 'x' LIMIT 1 FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    assert_eq!(store.reap(10).await.unwrap(), 10);
    assert_eq!(store.reap(10).await.unwrap(), 10);
    assert_eq!(store.reap(10).await.unwrap(), 3);
    assert_eq!(rows(&store).await, 4);
    holder.rollback().await.unwrap();
    assert_eq!(store.reap(10).await.unwrap(), 1);
    until("the refused one has lapsed", || async {
        let view = store
            .inspect(Slot::from_bytes([2; 32]))
            .await
            .unwrap()
            .unwrap();
        view.state == idem_core::SlotState::Unknown
    })
    .await;
    assert_eq!(store.reap(10).await.unwrap(), 0);
    assert_eq!(rows(&store).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_delete_each_row_once_and_each_by_itself() {
    let server = Postgres::start().await;
    let store = idle(&server).await;
    expired(&store, 2000).await;
    let reapers = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut sum = 0;
            loop {
                match store.reap(50).await.unwrap() {
                    0 => return sum,
                    deleted => sum += deleted,
                }
            }
        })
    });
    let sum: u64 = join_all(reapers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    assert_eq!(sum, 2000);

    expired(&store, 300).await;
    let database: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(store.pool())
        .await
        .unwrap();
    let node = PostgresStore::builder(server.url_of(&database));
    let node = node.reap_every(Duration::from_millis(20)).reap_batch(100);
    let node = node.connect().await.unwrap();
    until("the node has deleted them", || async {
        rows(&store).await == 0
    })
    .await;
    drop(node);
}

/// 100,000 keys with a ttl of a tenth of a second: the rows come and go, and the
/// table does not grow with the number of keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_with_a_short_ttl_the_table_reaches_a_plateau() {
    const WAVES: u64 = 10;
    const WAVE: u64 = 10_000;
    let server =
        Postgres::start_with(&[("synchronous_commit", "off"), ("autovacuum_naptime", "1s")]).await;
    let store = common::builder(&server).await;
    let store = store
        .reap_every(Duration::from_millis(50))
        .connections(16)
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let mut sizes = Vec::new();
    for wave in 1..=WAVES {
        let workers = (0..16).map(|_| {
            let (store, next) = (store.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= wave * WAVE {
                        return;
                    }
                    let mut slot = [0; 32];
                    slot[..8].copy_from_slice(&number.to_be_bytes());
                    // Spread over the index, as digests are.
                    slot[..8].reverse();
                    let mut request = common::request(slot);
                    request.retention = Retention {
                        ttl: Duration::from_millis(100),
                        grace: Duration::ZERO,
                    };
                    request.lease = Duration::from_millis(50);
                    let grant = common::claimed(&store, request).await;
                    let record = Bytes::from_static(&[b'r'; 200]);
                    let _ = store
                        .complete(grant, record, request.retention)
                        .await
                        .unwrap();
                }
            })
        });
        for worker in join_all(workers).await {
            worker.unwrap();
        }
        next.store(wave * WAVE, Relaxed);
        let size: i64 = sqlx::query_scalar("SELECT pg_total_relation_size('idem.slots')")
            .fetch_one(store.pool())
            .await
            .unwrap();
        sizes.push(size);
    }
    println!("bytes of the table after each {WAVE} keys: {sizes:?}");
    // Without reaper and vacuum each wave adds as much as the first.
    let last = sizes[sizes.len() - 1];
    assert!(last < 3 * sizes[0], "{sizes:?}");
    until("all are deleted", || async { rows(&store).await == 0 }).await;
}

#[tokio::test]
async fn meters_whose_window_has_ended_are_deleted_too() {
    let server = Postgres::start().await;
    let store = idle(&server).await;
    let tag = |byte| ScopeTag::from_bytes([byte; 16]);
    let meters = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM idem.slots_meters")
            .fetch_one(store.pool())
            .await
            .unwrap()
    };
    expired(&store, 5).await;
    for byte in 1..=5 {
        let ended = store.spend(tag(byte), 1, Duration::ZERO).await;
        assert_eq!(ended.unwrap().total, 1);
    }
    let minute = Duration::from_secs(60);
    store.spend(tag(6), 1, minute).await.unwrap();
    // Slots first, and no more rows at once than it is told.
    assert_eq!(store.reap(7).await.unwrap(), 7);
    assert_eq!((rows(&store).await, meters().await), (0, 4));
    assert_eq!(store.reap(7).await.unwrap(), 3);
    assert_eq!(store.reap(7).await.unwrap(), 0);
    assert_eq!(meters().await, 1);
    assert_eq!(store.spend(tag(6), 1, minute).await.unwrap().total, 2);
}
