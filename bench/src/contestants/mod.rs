//! Who takes part, and what each promises.

mod bare;
mod by_hand;
mod executions;
mod idem;
mod peer;
mod transaction;

use std::{fmt, time::Duration};

use axum::Router;
use clap::ValueEnum;
use sqlx::{PgPool, SqlitePool};

use crate::error::Error;
use by_hand::Way;
pub(crate) use executions::Executions;
pub(crate) use peer::NEEDS_OF_ITS_REDIS;

/// How long the slow handler takes, so that duplicates meet it at work.
const WORK: Duration = Duration::from_millis(5);
/// For an answer of a store, or a session. A machine that is too slow for the load must show as slow, and not
/// as commands that are sent twice.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many sessions each contestant has at PostgreSQL.
const SESSIONS: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    /// The handler alone.
    Bare,
    /// idem over its memory store.
    Memory,
    /// idem over a SQLite file.
    Sqlite,
    /// idem over Redis.
    Redis,
    /// idem over Redis, with a replay cache in the process.
    Cached,
    /// What one would write by hand over Redis: SET NX, the handler, SET.
    ByHand,
    /// The same with a lease, an owner and a fingerprint.
    ByHandFenced,
    /// axum-idempotent over its Redis store.
    PeerRedis,
    /// axum-idempotent over its memory store.
    PeerMemory,
    /// idem over PostgreSQL.
    Postgres,
    /// A handler with a transaction of its own.
    Transaction,
    /// idem in the handler's transaction.
    Tx,
}

/// Where a contestant keeps what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Nowhere,
    Memory,
    File,
    Redis,
    Postgres,
}

/// What a contestant does with a request that is not the first one of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replays {
    /// It runs the handler again.
    Never,
    /// It gives the first one's answer.
    Silently,
    /// It gives the first one's answer, and says so in this header.
    Marked(&'static str),
}

impl Contestant {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare handler",
            Self::Memory => "idem, memory",
            Self::Sqlite => "idem, SQLite",
            Self::Redis => "idem, Redis",
            Self::Cached => "idem, Redis and replay cache",
            Self::ByHand => "by hand, Redis",
            Self::ByHandFenced => "by hand with owner and fingerprint, Redis",
            Self::PeerRedis => "axum-idempotent, Redis",
            Self::PeerMemory => "axum-idempotent, memory",
            Self::Postgres => "idem, PostgreSQL",
            Self::Transaction => "bare transaction, PostgreSQL",
            Self::Tx => "idem `Tx`, PostgreSQL",
        }
    }

    pub(crate) fn place(self) -> Place {
        match self {
            Self::Bare => Place::Nowhere,
            Self::Memory | Self::PeerMemory => Place::Memory,
            Self::Sqlite => Place::File,
            Self::Redis | Self::Cached | Self::ByHand | Self::ByHandFenced | Self::PeerRedis => {
                Place::Redis
            }
            Self::Postgres | Self::Transaction | Self::Tx => Place::Postgres,
        }
    }

    pub(crate) fn replays(self) -> Replays {
        match self {
            Self::Bare | Self::Transaction => Replays::Never,
            Self::ByHand | Self::ByHandFenced => Replays::Silently,
            Self::PeerRedis | Self::PeerMemory => Replays::Marked("idempotency-replayed"),
            Self::Memory
            | Self::Sqlite
            | Self::Redis
            | Self::Cached
            | Self::Postgres
            | Self::Tx => Replays::Marked("idempotent-replayed"),
        }
    }

    pub(crate) fn keeps_answers(self) -> bool {
        self.replays() != Replays::Never
    }

    /// Held to everything: another payload is a conflict, and duplicates in flight run once.
    pub(crate) fn is_idem(self) -> bool {
        matches!(
            self,
            Self::Memory | Self::Sqlite | Self::Redis | Self::Cached | Self::Postgres | Self::Tx
        )
    }

    /// What it is compared with beside the bare handler.
    pub(crate) fn rivals(self) -> &'static [Self] {
        match self {
            Self::Redis => &[Self::ByHand, Self::ByHandFenced],
            Self::Tx => &[Self::Transaction],
            _ => &[],
        }
    }

    /// As it is called on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Its server, over a store at an address or in a directory.
    pub(crate) async fn serve(self, at: &str) -> Result<Service, Error> {
        match self {
            Self::Bare => Ok(bare::serve()),
            Self::Memory => idem::over_memory(),
            Self::Sqlite => idem::over_sqlite(at).await,
            Self::Redis => idem::over_redis(at).await,
            Self::Cached => idem::over_redis_cached(at).await,
            Self::ByHand => by_hand::serve(Way::Naive, at).await,
            Self::ByHandFenced => by_hand::serve(Way::Fenced, at).await,
            Self::PeerRedis => peer::over_redis(at).await,
            Self::PeerMemory => Ok(peer::over_memory()),
            Self::Postgres => idem::over_postgres(at).await,
            Self::Transaction => transaction::bare(at).await,
            Self::Tx => transaction::within(at).await,
        }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// A contestant at work.
#[derive(Debug)]
pub(crate) struct Service {
    /// `POST /orders`, and `POST /slow` with the slow handler.
    pub(crate) router: Router,
    pub(crate) executions: Executions,
    pub(crate) stored: Stored,
}

/// How a service finds out what its records take, if it can.
#[derive(Debug)]
pub(crate) enum Stored {
    Elsewhere,
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_title_of_its_own() {
        for one in Contestant::value_variants() {
            let same = Contestant::value_variants()
                .iter()
                .filter(|other| other.title() == one.title());
            assert_eq!(same.count(), 1, "{one}");
        }
    }
}
