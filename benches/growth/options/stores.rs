//! The stores that an option is looked at with, and the table of what it takes there.

use std::sync::Arc;

use idem_axum::{MemoryStore, PostgresStore, RedisStore, Runtime, Store};
use idem_core::RuntimeBuilder;
use idem_servers::{Postgres, Redis};

use super::{
    answers::Kind,
    through::{Contestant, Times, turns},
};
use crate::effort::Effort;

pub(super) struct Stores {
    pub(super) redis: Arc<RedisStore>,
    pub(super) postgres: PostgresStore,
    _servers: (Redis, Postgres),
}

impl Stores {
    pub(super) async fn start() -> Self {
        let servers = (Redis::start().await, Postgres::start().await);
        let redis = RedisStore::connect(&servers.0.url()).await.unwrap();
        let postgres = PostgresStore::builder(servers.1.url()).without_reaper();
        let postgres = postgres.connect().await.unwrap();
        postgres.migrate().await.unwrap();
        Self {
            redis: Arc::new(redis),
            postgres,
            _servers: servers,
        }
    }

    /// For each length, what records of this kind take at each store without the option, and
    /// with it as a multiple of that.
    pub(super) async fn print(
        &self,
        kind: Kind,
        option: &str,
        with: fn(RuntimeBuilder) -> RuntimeBuilder,
        effort: Effort,
    ) {
        println!(
            "\n| {}: plain, and {option} ÷ plain | memory, fresh key | replay | Redis, fresh key \
             | replay | PostgreSQL, fresh key | replay |",
            kind.name()
        );
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for &(bytes, times) in effort.options {
            let records = (kind, bytes);
            let rounds = effort.record_rounds;
            let cells = [
                cells(&turns(pair(&memory(), with), records, 4 * times, rounds).await),
                cells(&turns(pair(&self.redis, with), records, times, rounds).await),
                cells(&turns(pair(&self.postgres, with), records, times, rounds).await),
            ];
            println!("| {bytes} B | {} |", cells.join(" | "));
            eprintln!("{bytes} B of {} are done", kind.name());
        }
    }
}

/// That of one length lets go of its records before the next.
pub(super) fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::with_limits(usize::MAX, usize::MAX))
}

/// Without the option, and with it.
pub(super) fn pair(
    store: &(impl Store + Clone),
    with: fn(RuntimeBuilder) -> RuntimeBuilder,
) -> [Contestant; 2] {
    let builder = || Runtime::builder(store.clone());
    [builder(), with(builder())].map(|builder| Contestant::alone(builder.build().unwrap()))
}

fn cells([plain, with]: &[Times; 2]) -> String {
    let cell = |plain: f64, with: f64| format!("{plain:.1} µs, {:.2}", with / plain);
    format!(
        "{} | {}",
        cell(plain.fresh, with.fresh),
        cell(plain.replay, with.replay)
    )
}
