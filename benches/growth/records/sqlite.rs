//! A file for each size.

use std::{fs, time::Instant};

use idem_axum::SqliteStore;
use idem_core::Runtime;
use sqlx::{Connection, Sqlite, SqlitePool, Transaction};
use tempfile::TempDir;

use super::{
    Filled,
    executions::{RECORD_BYTES, held, runtime},
};

/// How many rows are written in one transaction.
const TOGETHER: usize = 50_000;

pub(crate) async fn filled(sizes: &[usize]) -> (Vec<Filled>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = Vec::new();
    for &records in sizes {
        let path = directory.path().join(format!("{records}.db"));
        let url = format!("sqlite:{}", path.display());
        let store = SqliteStore::builder(&url).without_reaper();
        let store = store.connect().await.unwrap();
        store.migrate().await.unwrap();
        let runtime = runtime(store.clone());
        fill(&runtime, store.writer(), records).await;
        let bytes = fs::metadata(&path).unwrap().len() as f64;
        stores.push(Filled {
            runtime,
            records,
            bytes: Some(bytes / records as f64),
        });
    }
    (stores, directory)
}

/// Many rows a transaction: with one or two for each, as the store has them, a million takes five
/// minutes. They are in the order of their keys' hashes all the same, which is none.
async fn fill(runtime: &Runtime, writer: &SqlitePool, records: usize) {
    let started = Instant::now();
    let mut connection = writer.acquire().await.unwrap();
    for first in (0..records).step_by(TOGETHER) {
        let mut transaction = connection.begin().await.unwrap();
        for number in first..records.min(first + TOGETHER) {
            insert(&mut transaction, runtime, number).await;
        }
        transaction.commit().await.unwrap();
    }
    // Of its file, that is, and not of the log beside it.
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut *connection)
        .await
        .unwrap();
    eprintln!("SQLite: {records} records in {:.1?}", started.elapsed());
}

/// What an execution leaves.
async fn insert(transaction: &mut Transaction<'_, Sqlite>, runtime: &Runtime, number: usize) {
    let call = held(runtime, number);
    sqlx::query(
        "INSERT INTO idem_slots (slot, fingerprint, owner, fence, attempt, state, refuse, \
         taken_over, retention, until, delete_at, steps, record) \
         VALUES (?1, ?2, randomblob(16), 1, 1, 2, 0, 0, 172800000, (unixepoch() + 86400) * 1000, \
         (unixepoch() + 172800) * 1000, '[]', ?3)",
    )
    .bind(&call.slot.as_bytes()[..])
    .bind(&call.fingerprint.as_bytes()[..])
    .bind(vec![b'r'; RECORD_BYTES])
    .execute(&mut **transaction)
    .await
    .unwrap();
}
