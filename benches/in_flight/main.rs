//! What ten thousand executions in flight in one process cost their store and their process while
//! nothing else happens, against one renewal command per lease from a task of its own; and whether
//! all leases hold when something else takes nine tenths of the machine.
//!
//! `cargo bench --bench in_flight --features redis,postgres,sqlite` prints the table that
//! docs/performance.md shows. Behind `--`, names of stores show only their rows, and `--long` looks for
//! a minute each time. Each store has a process of its own, so that what it takes of memory is seen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark"
)]

mod counting;
mod executions;
mod machine;
mod naive;
mod server;
mod window;

use std::{
    env,
    process::Command,
    time::{Duration, Instant},
};

use idem_axum::{MemoryStore, PostgresStore, SqliteStore, Store};
use idem_servers::{Postgres, Redis};

use self::{
    counting::Counting,
    executions::Executions,
    machine::Load,
    naive::Naive,
    server::Server,
    window::{Subject, measure, print_header},
};

const STORES: [&str; 4] = ["memory", "SQLite", "Redis", "PostgreSQL"];
/// Says of which store a process is.
const OF: &str = "--of=";

#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    executions: usize,
    /// Each lease, how long idem is looked at, and how long the naive way, which does
    /// the same at every moment.
    leases: [(Duration, Duration, Duration); 2],
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        return;
    }
    if has(machine::BUSY) {
        return machine::be_busy();
    }
    // Under a test runner everything runs once, and its numbers mean nothing.
    let effort = if has("--bench") && !has("--test") {
        let seconds = Duration::from_secs;
        let is_long = has("--long");
        Effort {
            executions: 10_000,
            leases: [
                (
                    seconds(30),
                    seconds(if is_long { 60 } else { 10 }),
                    seconds(4),
                ),
                (
                    seconds(5),
                    seconds(if is_long { 60 } else { 5 }),
                    seconds(6),
                ),
            ],
        }
    } else {
        let millis = Duration::from_millis;
        Effort {
            executions: 100,
            leases: [
                (millis(900), millis(300), millis(100)),
                (millis(600), millis(200), millis(100)),
            ],
        }
    };
    if let Some(store) = arguments.iter().find_map(|of| of.strip_prefix(OF)) {
        let tokio = tokio::runtime::Runtime::new().unwrap();
        return tokio.block_on(of_store(store, effort));
    }
    print_header(effort.executions);
    let is_wanted = |store: &str| arguments.iter().any(|name| name == store);
    let some = STORES.iter().any(|store| is_wanted(store));
    for store in STORES {
        if some && !is_wanted(store) {
            continue;
        }
        let status = Command::new(env::current_exe().unwrap())
            .args(&arguments)
            .arg(format!("{OF}{store}"))
            .status()
            .unwrap();
        assert!(status.success(), "{store}: {status}");
    }
}

async fn of_store(name: &str, effort: Effort) {
    match name {
        "memory" => compare(name, MemoryStore::new(), Server::None, effort).await,
        "SQLite" => {
            let directory = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}/bench.db", directory.path().display());
            let store = SqliteStore::connect(&url).await.unwrap();
            store.migrate().await.unwrap();
            compare(name, store, Server::None, effort).await;
        }
        "Redis" => {
            let redis = Redis::start().await;
            let store = idem_axum::RedisStore::connect(&redis.url()).await.unwrap();
            compare(name, store, Server::Redis(redis), effort).await;
        }
        "PostgreSQL" => {
            let postgres = Postgres::start().await;
            let store = PostgresStore::connect(&postgres.url()).await.unwrap();
            store.migrate().await.unwrap();
            compare(name, store, Server::Postgres(postgres), effort).await;
        }
        other => panic!("no store is named {other}"),
    }
}

async fn compare(name: &str, store: impl Store, server: Server, effort: Effort) {
    let store = Counting::new(store);
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for (lease, window, _) in effort.leases {
        let held = machine::memory();
        let claimed = Instant::now();
        let executions = Executions::start(&store, lease, effort.executions).await;
        // What the first ones have left is used again by the others.
        if let (true, Some(before), Some(after)) = (notes.is_empty(), held, machine::memory()) {
            let each = (after - before) / effort.executions as f64;
            notes.push(format!("{each:.0} B of memory an execution"));
        }
        // Leases that were claimed together are renewed together, a third of a lease
        // later: not at the edge of a window.
        tokio::time::sleep((lease / 6).saturating_sub(claimed.elapsed())).await;
        let subject = |who| Subject {
            store: name,
            lease,
            who,
            slots: &executions.slots,
        };
        rows.push(measure(subject("idem"), &store, &server, window).await);
        let load = Load::start().await;
        rows.push(measure(subject("idem, beside a load"), &store, &server, window).await);
        notes.push(load.stop());
        notes.push(executions.finish().await);
    }
    let naive = Naive::claim(&store, effort.executions).await;
    for (lease, _, window) in effort.leases {
        let renewing = naive.renew(&store, lease);
        let subject = Subject {
            store: name,
            lease,
            who: "naive",
            slots: &naive.slots,
        };
        rows.push(measure(subject, &store, &server, window).await);
        drop(renewing);
    }
    for row in rows {
        println!("{row}");
    }
    eprintln!("{name}: {}", notes.join("; "));
}
