//! One server with a table for each size.

use std::time::Instant;

use idem_axum::PostgresStore;
use idem_core::Runtime;
use idem_servers::Postgres;
use sqlx::{AssertSqlSafe, PgPool};

use super::{
    Filled,
    executions::{PATIENCE, RECORD_BYTES, held, runtime},
};

/// How many rows are written in one statement.
const TOGETHER: usize = 10_000;

pub(crate) async fn filled(sizes: &[usize]) -> (Vec<Filled>, Postgres) {
    let server = Postgres::start().await;
    let mut stores = Vec::new();
    for &records in sizes {
        let table = format!("slots_{records}");
        let store = PostgresStore::builder(server.url())
            .table(&table)
            .statement_timeout(PATIENCE)
            .without_reaper()
            .connect()
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let runtime = runtime(store.clone());
        fill(&runtime, store.pool(), &table, records).await;
        // It would come by itself, in the middle of a round.
        server
            .execute(&format!("VACUUM ANALYZE idem.{table}"))
            .await;
        let size = format!("SELECT pg_total_relation_size('idem.{table}')::text");
        let bytes: f64 = server.text(&size).await.unwrap().parse().unwrap();
        stores.push(Filled {
            runtime,
            records,
            bytes: Some(bytes / records as f64),
        });
    }
    server.execute("CHECKPOINT").await;
    (stores, server)
}

/// Many rows a statement: with two statements for each, as the store has them, a million takes
/// ten minutes.
async fn fill(runtime: &Runtime, pool: &PgPool, table: &str, records: usize) {
    let started = Instant::now();
    // What an execution leaves.
    let insert = format!(
        "INSERT INTO idem.{table} (slot, fingerprint, owner, fence, attempt, state, refuse, \
         taken_over, retention, until, delete_at, reap_at, record) \
         SELECT slot, $2, substr(slot, 1, 16), 1, 1, 2, false, false, '2 d', now() + '1 d', \
         now() + '2 d', now() + '2 d', $3 FROM unnest($1::bytea[]) AS slot"
    );
    for first in (0..records).step_by(TOGETHER) {
        let calls = (first..records.min(first + TOGETHER)).map(|number| held(runtime, number));
        let slots: Vec<Vec<u8>> = calls.map(|call| call.slot.as_bytes().to_vec()).collect();
        sqlx::query(AssertSqlSafe(insert.as_str()))
            .bind(slots)
            .bind(held(runtime, first).fingerprint.as_bytes().to_vec())
            .bind(vec![b'r'; RECORD_BYTES])
            .execute(pool)
            .await
            .unwrap();
    }
    eprintln!("PostgreSQL: {records} records in {:.1?}", started.elapsed());
}
