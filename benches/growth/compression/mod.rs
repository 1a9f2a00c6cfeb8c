//! From which length on it pays to compress what is stored: what LZ4 takes, and what becomes of
//! an execution and of a replay on each store.

mod answers;
mod block;
mod through;

use std::sync::Arc;

use idem_axum::{MemoryStore, PostgresStore, RedisStore};
use idem_servers::{Postgres, Redis};
use tokio::runtime::Builder;

use self::{answers::Kind, through::Times};
use crate::effort::Effort;

pub(crate) fn compare(effort: Effort) {
    for kind in [Kind::Json, Kind::Random] {
        block::print(kind, effort);
    }
    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let (redis, postgres) = (Redis::start().await, Postgres::start().await);
        let at_redis = RedisStore::builder(redis.url()).connect().await.unwrap();
        let at_redis = Arc::new(at_redis);
        let at_postgres = PostgresStore::builder(postgres.url()).without_reaper();
        let at_postgres = at_postgres.connect().await.unwrap();
        at_postgres.migrate().await.unwrap();
        for kind in [Kind::Json, Kind::Random] {
            println!(
                "\n| {}: plain, and compressed ÷ plain | memory, fresh key | replay | Redis, fresh key | replay \
                 | PostgreSQL, fresh key | replay |",
                kind.name()
            );
            println!("| --- | --- | --- | --- | --- | --- | --- |");
            for &(bytes, times) in effort.compressed {
                let records = (kind, bytes);
                let memory = || Arc::new(MemoryStore::with_limits(usize::MAX, usize::MAX));
                let rounds = effort.record_rounds;
                let cells = [
                    through::turns(memory(), records, 4 * times, rounds).await,
                    through::turns(at_redis.clone(), records, times, rounds).await,
                    through::turns(at_postgres.clone(), records, times, rounds).await,
                ];
                let cells: Vec<String> = cells.iter().map(Times::cells).collect();
                println!("| {bytes} B | {} |", cells.join(" | "));
                eprintln!("{bytes} B of {} are done", kind.name());
            }
        }
        println!("\n| PostgreSQL, bytes of a record at rest | plain | compressed |");
        println!("| --- | --- | --- |");
        for &(bytes, _) in effort.compressed {
            let at_rest = through::at_rest(&at_postgres, (Kind::Json, bytes)).await;
            println!("| {bytes} B | {} | {} |", at_rest[0], at_rest[1]);
        }
    });
}
