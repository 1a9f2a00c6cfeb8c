//! How many expired rows a reaper deletes while the service works, and what the service notices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Instant,
};

use idem_servers::Postgres;

use crate::{
    measure::{Effort, print, race},
    transfers::postgres::{contestant, router, store},
};

pub(crate) async fn compare(effort: Effort) {
    let server = Postgres::start().await;
    let store = store(&server.url()).await;
    let pool = store.pool().clone();
    let router = router(store.clone(), pool.clone()).await;
    let alone = [contestant(&router, "transfers, nothing expired", "/within")];
    let quiet = race(&alone, 16, effort).await;

    let rows = i32::try_from(effort.operations * effort.rounds * 100).unwrap();
    sqlx::query(
        "INSERT INTO idem.slots (slot, fingerprint, owner, fence, attempt, state, refuse, \
         taken_over, retention, until, delete_at, reap_at, record) \
         SELECT sha256(n::text::bytea), sha256('f'), sha256('o'), 1, 1, 2, false, false, '1 s', \
         now() - interval '2 h', now() - interval '1 h', now() - interval '1 h', \
         sha256(n::text::bytea) || sha256('r') FROM generate_series(1, $1) AS n",
    )
    .bind(rows)
    .execute(&pool)
    .await
    .unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let reaper = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let (started, mut deleted) = (Instant::now(), 0);
            while !over.load(SeqCst) {
                match store.reap(1000).await.unwrap() {
                    0 => break,
                    rows => deleted += rows,
                }
            }
            (deleted, started.elapsed())
        }
    });
    let busy = [contestant(
        &router,
        "transfers, beside the reaper",
        "/within",
    )];
    let shown = race(&busy, 16, effort).await;
    over.store(true, SeqCst);
    let (deleted, took) = reaper.await.unwrap();
    let contestants: Vec<_> = alone.into_iter().chain(busy).collect();
    let shown: Vec<_> = quiet.into_iter().chain(shown).collect();
    print(
        "PostgreSQL, a reaper of 1000 rows a statement",
        &contestants,
        &shown,
    );
    println!(
        "\nthe reaper, meanwhile: {:.0} rows a second ({deleted} of {rows})",
        deleted as f64 / took.as_secs_f64()
    );
}
