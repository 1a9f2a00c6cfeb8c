//! Real processes over real stores for a long time: whether anything grows that should not.
//!
//! One process of `examples/lab` for each store, with constant traffic of keys that are gone after
//! seconds: retries, other payloads, clients that leave. Every few seconds it is measured what the
//! process and its store take. [`trend`] says what grows.

mod measured;
mod traffic;
pub mod trend;

use std::{fmt::Write, sync::Arc, time::Duration};

use idem_servers::{Postgres, Redis};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use self::{measured::Series, traffic::Traffic};
use crate::nemesis::fleet::{Node, Program};

/// Where the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The process's memory.
    Memory,
    /// One Redis.
    Redis,
    /// A SQLite file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Store {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Redis, Self::Sqlite, Self::Postgres];

    /// Its name, as `--store` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A store, running.
enum Stage {
    Memory,
    Redis(Redis),
    Sqlite(TempDir),
    Postgres(Postgres),
}

impl Stage {
    async fn start(store: Store) -> Self {
        match store {
            Store::Memory => Self::Memory,
            Store::Redis => Self::Redis(Redis::start().await),
            Store::Sqlite => Self::Sqlite(tempfile::tempdir().expect("a directory")),
            Store::Postgres => Self::Postgres(Postgres::start().await),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Memory => "memory".to_owned(),
            Self::Redis(server) => server.url(),
            Self::Sqlite(directory) => {
                format!("sqlite:{}", directory.path().join("idem.db").display())
            }
            Self::Postgres(server) => server.url(),
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Over which store.
    pub store: Store,
    /// For how long.
    pub time: Duration,
    /// Requests sent.
    pub requests: u64,
    /// Answers that were neither the handler's nor to be expected.
    pub surprises: Vec<String>,
    series: Vec<Series>,
}

impl Report {
    /// Whether nothing grew, and every answer was to be expected.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.surprises.is_empty() && self.series.iter().all(|it| !it.trend().grows)
    }

    /// Its lines of [`table`].
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for series in &self.series {
            let trend = series.trend();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {:+.0} | {:+.0} | {} |",
                self.store.name(),
                self.time.as_secs(),
                self.requests,
                series.what,
                series.points.len(),
                series.points.first().map_or(0.0, |point| point.1),
                series.points.last().map_or(0.0, |point| point.1),
                trend.first * 3_600.0,
                trend.second * 3_600.0,
                if trend.grows { "**growth**" } else { "plateau" }
            );
        }
        text
    }
}

/// A table in Markdown.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = String::from(
        "| store | seconds | requests | what | samples | first | last | slope per hour, first half | second half | verdict |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for report in reports {
        text.push_str(&report.lines());
    }
    text
}

/// How often everything is measured.
const EVERY: Duration = Duration::from_secs(3);

/// Constant traffic over one store.
pub async fn run(store: Store, time: Duration, clients: u64) -> Report {
    let stage = Stage::start(store).await;
    let environment = [("IDEM_REAP_EVERY", "5s")];
    let node = Node::start(Program::Lab, &stage.url(), None, &environment).await;
    let node = Arc::new(node);
    let traffic = Traffic::start(Arc::clone(&node), time, clients);
    let began = Instant::now();
    let mut series: Vec<Series> = Vec::new();
    let mut next = began + EVERY;
    while next < began + time {
        sleep_until(next).await;
        next += EVERY;
        let at = began.elapsed();
        for sample in measured::all(&node, &stage).await {
            sample.add_to(&mut series, at);
        }
    }
    let (requests, surprises) = traffic.end().await;
    Report {
        store,
        time,
        requests,
        surprises,
        series,
    }
}
