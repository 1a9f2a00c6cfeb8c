//! Real processes over real stores, while everything fails that can.
//!
//! Several processes of `examples/lab` (and over SQL of `examples/ledger`) share one store. Faults
//! that a seed chooses are injected: processes are killed and stopped, connections are broken in all
//! ways a network knows, servers are restarted and replaced. Clients retry with the same key, at
//! several processes at once, leave early, and use keys for other payloads and as other users.
//! Afterwards the [history](crate::history) of all that is held against what is promised.
//!
//! | | |
//! |---|---|
//! | [`schedule`] | which faults, in which order: all of it from a seed |
//! | `stage` | the store's servers, and what is done to them |
//! | `fleet` | the processes of the service |
//! | `workload` | what clients do |
//! | `books` | what clients of transactional handlers do |
//! | `overtake` | an owner that ends its work after another has taken over |
//! | `journal` | what the handlers wrote down |
//! | [`windows`] | what excuses a repetition, and nothing else does |
//! | [`report`] | what is printed |
//!
//! Real time is not deterministic, so a seed replays the same faults and not the same history.

mod books;
pub(crate) mod calls;
pub(crate) mod fleet;
mod journal;
mod judge;
mod lanes;
mod overtake;
pub mod report;
pub mod schedule;
mod stage;
pub mod windows;
mod workload;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, stream};
use idem_servers::State;

use self::{
    books::Books,
    calls::Caller,
    fleet::{Clock, Node, Program},
    lanes::Lanes,
    report::Report,
    schedule::Schedule,
    stage::Stage,
    windows::Windows,
    workload::{Settled, Workload},
};
use crate::history::{NodeId, What};

/// Where the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// One Redis.
    Redis,
    /// Redis under Sentinel, with failovers.
    Sentinel,
    /// A Redis Cluster, with failovers.
    Cluster,
    /// PostgreSQL.
    Postgres,
    /// A SQLite file.
    Sqlite,
}

impl Store {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Redis,
        Self::Sentinel,
        Self::Cluster,
        Self::Postgres,
        Self::Sqlite,
    ];

    /// Its name, as `--store` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }

    /// Whether handlers can take its transaction.
    const fn has_transactions(self) -> bool {
        matches!(self, Self::Postgres | Self::Sqlite)
    }

    /// Whether another server takes over.
    const fn fails_over(self) -> bool {
        matches!(self, Self::Sentinel | Self::Cluster)
    }
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Over which store.
    pub store: Store,
    /// Which faults.
    pub seed: u64,
    /// How long faults are injected. What comes before and after takes about ten seconds more.
    pub time: Duration,
    /// Whether each write waits for a replica, where another server may take over.
    pub min_replicas: bool,
    /// How many clients there are.
    pub clients: u64,
}

const LABS: usize = 3;
const LEDGERS: usize = 2;
/// How long it may take until everything is answered once nothing fails any more.
const HEALING: Duration = Duration::from_secs(90);

/// Runs the schedule of a seed, and says what came of it.
pub async fn run(config: Config) -> Report {
    let Config { store, seed, .. } = config;
    let count = LABS + if store.has_transactions() { LEDGERS } else { 0 };
    let stage = Arc::new(Stage::start(store, count).await);
    let directory = tempfile::tempdir().expect("a directory");
    let journal = directory.path().join("journal");
    let environment: &[(&str, &str)] = if store.fails_over() && config.min_replicas {
        &[("IDEM_MIN_REPLICAS", "1")]
    } else {
        &[]
    };
    let mut nodes = Vec::new();
    for index in 0..count {
        let program = if index < LABS {
            Program::Lab
        } else {
            Program::Ledger
        };
        nodes.push(Node::start(program, &stage.url(index), Some(&journal), environment).await);
    }
    let nodes = Arc::new(nodes);
    let caller = Caller::new(Clock::start());
    let workload = Workload::new(caller.clone(), Arc::clone(&nodes));
    let books = store
        .has_transactions()
        .then(|| Books::new(caller.clone(), Arc::clone(&nodes)));

    let until = caller.clock.now() + config.time;
    let clients: Vec<_> = (0..config.clients)
        .map(|client| tokio::spawn(workload.clone().client(seed ^ (client << 32), until)))
        .chain(books.iter().flat_map(|books| {
            (0..config.clients / 4)
                .map(|client| tokio::spawn(books.clone().client(seed ^ (client << 32) ^ 1, until)))
        }))
        .collect();
    let windows = Windows::default();
    let lanes = Lanes {
        caller: caller.clone(),
        stage: Arc::clone(&stage),
        nodes: Arc::clone(&nodes),
        windows: windows.clone(),
        workload: workload.clone(),
        journal: journal.clone(),
        loses_writes: store.fails_over() && !config.min_replicas,
        until,
    };
    let schedule = Schedule::new(store, count, seed, config.time);
    let watch = tokio::spawn(lanes.clone().watch());
    let faults = lanes.run(&schedule).await;
    for client in join_all(clients).await {
        client.expect("a client");
    }

    let healed = caller.clock.now();
    let mut violations = settle(&workload, healed + HEALING).await;
    let account = match &books {
        Some(books) => Some(books.settle(healed + HEALING).await),
        None => None,
    };
    drain(&caller, &nodes, &mut violations).await;
    watch.abort();
    judge::judge(judge::Evidence {
        config,
        caller: &caller,
        nodes: &nodes,
        windows: windows.take(),
        journal: &journal,
        faults,
        account,
        violations,
    })
}

/// Brings every key to its answer, and asks for it once more.
async fn settle(workload: &Workload, give_up: Duration) -> Vec<String> {
    let wishes = workload.wishes();
    let settling = wishes.iter().map(|wish| async move {
        let settled = workload.settle(wish, give_up).await;
        (wish.place(), settled)
    });
    let settled: Vec<_> = stream::iter(settling).buffer_unordered(24).collect().await;
    let mut violations = Vec::new();
    let mut places: Vec<_> = settled.iter().map(|(place, _)| *place).collect();
    places.sort_unstable();
    places.dedup();
    for place in places {
        let all = settled.iter().filter(|(of, _)| *of == place);
        if !all
            .clone()
            .any(|(_, told)| *told == Some(Settled::Answered))
        {
            let told: Vec<_> = all.map(|(_, told)| told).collect();
            violations.push(format!(
                "liveness: {place:?} cannot be brought to an answer: {told:?}"
            ));
        }
    }
    violations
}

/// Ends the processes as an operator does: they finish what is in flight.
async fn drain(caller: &Caller, nodes: &[Node], violations: &mut Vec<String>) {
    for (index, node) in nodes.iter().enumerate() {
        if node.program == Program::Ledger {
            continue;
        }
        let id: NodeId = node.id(index);
        let left = node.terminate().await;
        match left {
            Some(left) => caller.note(What::Drained { node: id, left }),
            None => violations.push(format!("node {id} does not end: {}", node.output())),
        }
        debug_assert_eq!(node.state(), State::Ended);
    }
}
