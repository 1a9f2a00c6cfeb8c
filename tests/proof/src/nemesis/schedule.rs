//! Which faults, in which order: all of it from a seed.

use std::{fmt, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{LABS, Store};

/// Leases of the service under test.
pub const LEASE: Duration = Duration::from_secs(3);

/// A silence of this length may cost a lease: a renewal may be due only a third of the lease after
/// the last one, and a connection that broke is tried again after up to a second.
pub const SILENCE: Duration = Duration::from_secs(1);

/// One thing that goes wrong, and then is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of a process of the service, which starts again after a while.
    Kill {
        /// Which.
        node: usize,
        /// How long it is gone.
        down: Duration,
    },
    /// SIGSTOP and, after a while, SIGCONT.
    Stop {
        /// Which.
        node: usize,
        /// For how long.
        time: Duration,
    },
    /// A process stands still in its handler until another has taken over and is in its own, and
    /// ends its work while that one is at it.
    Overtake {
        /// Which stands still.
        first: usize,
        /// Which takes over.
        second: usize,
    },
    /// Something between the service and a server of the store: one process's connections at one
    /// Redis and at PostgreSQL, everybody's to one server at a Sentinel and a Cluster.
    Network {
        /// Of which process, or to which server.
        link: usize,
        /// What.
        trouble: Trouble,
        /// For how long.
        time: Duration,
    },
    /// `kill -9` of the store's server, which starts again with the same data.
    ServerKilled {
        /// How long it is gone.
        down: Duration,
    },
    /// The store's server, all its processes, stands still.
    ServerStopped {
        /// For how long.
        time: Duration,
    },
    /// The server takes no writes, and applies later what came meanwhile (`CLIENT PAUSE`).
    ServerPaused {
        /// For how long.
        time: Duration,
    },
    /// `kill -9` of one backend of PostgreSQL, whereupon it ends all others.
    BackendKilled,
    /// The master dies with its connections, a replica takes its place, and it comes back as one.
    MasterKilled {
        /// Of which part of the keys.
        shard: usize,
    },
    /// The master stands still until a replica has taken its place, and goes on as if nothing had
    /// happened.
    MasterStopped {
        /// Of which part of the keys.
        shard: usize,
    },
    /// Another process holds the write lock of the SQLite file.
    Locked {
        /// For how long.
        time: Duration,
    },
}

/// What a proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every connection is reset, once.
    Cut,
    /// Connections are reset, new ones at once.
    Refuse,
    /// Nothing passes, nothing is closed; later all of it arrives.
    Blackhole,
    /// Requests arrive, replies do not.
    DropReplies,
    /// This many requests are applied and their connections reset.
    Reset(u64),
    /// Everything takes longer, each way.
    Delay(Duration),
}

impl Fault {
    /// Its name in tables.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "node killed",
            Self::Stop { .. } => "node stopped",
            Self::Overtake { .. } => "owner overtaken",
            Self::Network { trouble, .. } => match trouble {
                Trouble::Cut => "connections cut",
                Trouble::Refuse => "connections refused",
                Trouble::Blackhole => "black hole",
                Trouble::DropReplies => "replies dropped",
                Trouble::Reset(_) => "reset after request",
                Trouble::Delay(_) => "delay",
            },
            Self::ServerKilled { .. } => "server killed",
            Self::ServerStopped { .. } => "server stopped",
            Self::ServerPaused { .. } => "server paused",
            Self::BackendKilled => "backend killed",
            Self::MasterKilled { .. } => "failover: master killed",
            Self::MasterStopped { .. } => "failover: master stopped",
            Self::Locked { .. } => "file locked",
        }
    }

    /// How long it takes, nearly.
    fn time(&self) -> Duration {
        match self {
            Self::Kill { down, .. } | Self::ServerKilled { down } => *down + SECOND,
            Self::Stop { time, .. }
            | Self::Network { time, .. }
            | Self::ServerStopped { time }
            | Self::ServerPaused { time }
            | Self::Locked { time } => *time,
            Self::Overtake { .. } => LEASE + SECOND,
            Self::BackendKilled => SECOND,
            Self::MasterKilled { .. } | Self::MasterStopped { .. } => 5 * SECOND,
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// A fault, and how long everything in its lane is well before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The pause before it.
    pub pause: Duration,
    /// The fault.
    pub fault: Fault,
}

/// What happens side by side: to the processes of the service, and to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Faults of the service's processes.
    pub nodes: Vec<Step>,
    /// Faults of the store and of the way to it.
    pub store: Vec<Step>,
}

impl Schedule {
    /// The schedule of this seed. A longer one begins as a shorter one does.
    #[must_use]
    pub fn new(store: Store, nodes: usize, seed: u64, time: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let own = StdRng::seed_from_u64(random.random());
        let servers = StdRng::seed_from_u64(random.random());
        // One of every two, so that a short run has some, too: not all find their moment.
        let (mut left, mut turn) = (0, 0);
        let own_fault = |random: &mut StdRng| {
            if left == 0 {
                (left, turn) = (2, random.random_range(1..=2));
            }
            let overtakes = left == turn;
            left -= 1;
            if overtakes {
                overtake(random)
            } else {
                node_fault(random, nodes)
            }
        };
        Self {
            nodes: lane(own, time, own_fault),
            store: lane(servers, time, |random| store_fault(random, store, nodes)),
        }
    }
}

fn lane(
    mut random: StdRng,
    time: Duration,
    mut fault: impl FnMut(&mut StdRng) -> Fault,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut spent = Duration::ZERO;
    loop {
        let step = Step {
            pause: between(&mut random, 1_000, 2_200),
            fault: fault(&mut random),
        };
        spent += step.pause + step.fault.time();
        if spent > time {
            return steps;
        }
        steps.push(step);
    }
}

fn between(random: &mut StdRng, least: u64, most: u64) -> Duration {
    Duration::from_millis(random.random_range(least..=most))
}

/// Most are too short to cost a lease, and then nothing may run twice; the others are longer than
/// one.
fn some_time(random: &mut StdRng) -> Duration {
    if random.random_bool(0.7) {
        between(random, 50, 800)
    } else {
        between(random, 3_300, 4_500)
    }
}

fn overtake(random: &mut StdRng) -> Fault {
    let first = random.random_range(0..LABS);
    let second = (first + random.random_range(1..LABS)) % LABS;
    Fault::Overtake { first, second }
}

fn node_fault(random: &mut StdRng, nodes: usize) -> Fault {
    let node = random.random_range(0..nodes);
    if random.random_bool(0.5) {
        Fault::Kill {
            node,
            down: between(random, 0, 1_500),
        }
    } else {
        Fault::Stop {
            node,
            time: some_time(random),
        }
    }
}

fn store_fault(random: &mut StdRng, store: Store, nodes: usize) -> Fault {
    let time = some_time(random);
    match store {
        Store::Redis => match random.random_range(0..10) {
            0 | 1 => Fault::ServerKilled {
                down: between(random, 0, 800),
            },
            2 => Fault::ServerStopped { time },
            3 => Fault::ServerPaused { time },
            _ => network(random, nodes, time),
        },
        Store::Postgres => match random.random_range(0..10) {
            0 => Fault::ServerKilled {
                down: between(random, 0, 500),
            },
            1 => Fault::ServerStopped { time },
            2 | 3 => Fault::BackendKilled,
            _ => network(random, nodes, time),
        },
        Store::Sentinel => match random.random_range(0..10) {
            0..3 => Fault::MasterKilled { shard: 0 },
            3 | 4 => Fault::MasterStopped { shard: 0 },
            _ => network(random, 1, time.min(Duration::from_millis(400))),
        },
        Store::Cluster => {
            let shard = random.random_range(0..3);
            match random.random_range(0..10) {
                0..3 => Fault::MasterKilled { shard },
                3 | 4 => Fault::MasterStopped { shard },
                _ => network(random, 3, time.min(Duration::from_millis(800))),
            }
        }
        Store::Sqlite => Fault::Locked { time },
    }
}

fn network(random: &mut StdRng, links: usize, time: Duration) -> Fault {
    let link = random.random_range(0..links);
    let (trouble, time) = match random.random_range(0..6) {
        0 => (Trouble::Cut, Duration::ZERO),
        1 => (Trouble::Refuse, time),
        2 => (Trouble::Blackhole, time),
        3 => (Trouble::DropReplies, time),
        4 => (
            Trouble::Reset(random.random_range(1..20)),
            between(random, 50, 800),
        ),
        _ => (Trouble::Delay(between(random, 5, 120)), time),
    };
    Fault::Network {
        link,
        trouble,
        time,
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (lane, steps) in [("nodes", &self.nodes), ("store", &self.store)] {
            writeln!(f, "{lane}:")?;
            for Step { pause, fault } in steps {
                writeln!(f, "  after {pause:?}: {fault:?}")?;
            }
        }
        Ok(())
    }
}
