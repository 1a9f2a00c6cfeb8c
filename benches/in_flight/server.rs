//! What the server says that it was asked.

use idem_servers::{Postgres, Redis};

use crate::machine;

pub(crate) enum Server {
    /// The store is in this process.
    None,
    Redis(Redis),
    Postgres(Postgres),
}

impl Server {
    pub(crate) fn seconds(&self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Redis(redis) => machine::seconds_of(redis.pid()),
            Self::Postgres(postgres) => machine::seconds_of(postgres.pid()),
        }
    }

    /// The scripts that were called, and how often the server has read for them.
    pub(crate) async fn commands(&self) -> Option<(u64, u64)> {
        let Self::Redis(redis) = self else {
            return None;
        };
        let stats = redis.info("stats").await;
        let reads = stats["total_reads_processed"].parse().unwrap();
        Some((redis.calls("evalsha").await, reads))
    }
}
