//! What may lose records, and is no error.

use std::fmt;

/// Something at a server that may lose records. The store works all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hazard {
    /// It drops records when its memory is full, which was accepted, or would
    /// if it had a limit.
    Evicts {
        /// Which server.
        server: String,
        /// Its policy.
        policy: String,
    },
    /// It keeps nothing over a restart.
    NothingPersisted {
        /// Which server.
        server: String,
    },
    /// It keeps snapshots, and forgets what came after the last one.
    OnlySnapshots {
        /// Which server.
        server: String,
    },
    /// What it has answered in the last second or two it may not know any more
    /// after a restart, also when only its process was killed.
    LastSecond {
        /// Which server.
        server: String,
    },
    /// It has fewer replicas than every write is to wait for.
    TooFewReplicas {
        /// Which server.
        server: String,
        /// How many there should be.
        wanted: u32,
        /// How many there are.
        connected: u64,
    },
    /// It does not say what it is: `INFO` is denied.
    Unknown {
        /// Which server.
        server: String,
        /// What it said instead.
        reply: String,
    },
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evicts { server, policy } => write!(
                f,
                "{server} may drop records when its memory is full (maxmemory-policy {policy}), and a dropped record is an effect that happens twice: set maxmemory-policy to noeviction"
            ),
            Self::NothingPersisted { server } => write!(
                f,
                "{server} keeps nothing over a restart, and a lost record is an effect that happens twice: set appendonly to yes"
            ),
            Self::OnlySnapshots { server } => write!(
                f,
                "{server} forgets all since its last snapshot when it is killed, and a lost record is an effect that happens twice: set appendonly to yes"
            ),
            Self::LastSecond { server } => write!(
                f,
                "{server} may forget the last second or two when it is killed (appendfsync is not always), and a lost record is an effect that happens twice: set appendfsync to always, or let every write wait for a replica (min_replicas)"
            ),
            Self::TooFewReplicas {
                server,
                wanted,
                connected,
            } => write!(
                f,
                "{server} has {connected} replicas and each write is to wait for {wanted}: until there are more, every claim is refused"
            ),
            Self::Unknown { server, reply } => write!(
                f,
                "{server} does not say whether it keeps what it is told ({reply}): allow INFO to have it checked"
            ),
        }
    }
}
