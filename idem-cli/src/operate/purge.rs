//! `idem purge`: deletes what has expired.

use std::time::{Duration, Instant};

use idem_core::StoreError;
use idem_postgres::PostgresStore;
use idem_sqlite::SqliteStore;
use serde_json::json;

use super::{
    Done, OperateError,
    address::Address,
    output::{count, duration, milliseconds, print, print_json},
    store::{Reaping, StoreArgs},
};

/// Delete what has expired: slots past their ttl and grace
///
/// Services do it by themselves, every minute; this is for a store that no service of yours cleans
/// up, or that has much to delete. What is deleted is no slot any more, and no retry can see it.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Yes, what has expired
    #[arg(long, required = true)]
    expired: bool,

    /// How many are deleted in one statement
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,

    /// Begin no other statement after this time, such as 30s
    #[arg(long, value_name = "TIME")]
    max_time: Option<humantime::Duration>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    store: StoreArgs,
}

const AFTER_HELP: &str = "\
Redis deletes by itself, so there is nothing to do. At PostgreSQL a slot that ended early stays until
the time that its claim has foreseen, so there may be nothing to delete although slots have expired.

Exit codes: 0 deleted, or nothing to do; 2 usage or the store.";

#[derive(Debug, Default)]
struct Purged {
    rows: u64,
    is_all: bool,
    took: Duration,
}

pub(super) async fn run(args: Args) -> Result<Done, OperateError> {
    if let Address::Redis(_) = args.store.address()? {
        return say_nothing_to_do(&args);
    }
    let store = args.store.open().await?;
    let purged = match &store.reaping {
        Reaping::Postgres(table) => purge(table, &args).await,
        Reaping::Sqlite(table) => purge(table, &args).await,
        Reaping::ByItself => return say_nothing_to_do(&args),
    };
    say(&args, &purged.map_err(|cause| store.failed(cause))?)?;
    Ok(Done::Yes)
}

trait Reap {
    async fn reap(&self, rows: u32) -> Result<u64, StoreError>;
}

impl Reap for PostgresStore {
    async fn reap(&self, rows: u32) -> Result<u64, StoreError> {
        Self::reap(self, rows).await
    }
}

impl Reap for SqliteStore {
    async fn reap(&self, rows: u32) -> Result<u64, StoreError> {
        Self::reap(self, rows).await
    }
}

async fn purge(table: &impl Reap, args: &Args) -> Result<Purged, StoreError> {
    let start = Instant::now();
    let mut purged = Purged::default();
    loop {
        let rows = table.reap(args.batch).await?;
        purged.rows += rows;
        purged.is_all = rows < u64::from(args.batch);
        purged.took = start.elapsed();
        let is_over = args.max_time.is_some_and(|most| purged.took >= *most);
        if purged.is_all || is_over {
            return Ok(purged);
        }
    }
}

fn say(args: &Args, purged: &Purged) -> Result<(), OperateError> {
    if args.json {
        return print_json(&json!({
            "deleted": purged.rows,
            "more": !purged.is_all,
            "took_ms": milliseconds(purged.took),
        }));
    }
    let mut text = format!(
        "deleted {} in {}\n",
        count(purged.rows, "expired slot"),
        duration(purged.took)
    );
    if !purged.is_all {
        text += "--max-time is over, and there may be more\n";
    }
    print(&text)
}

fn say_nothing_to_do(args: &Args) -> Result<Done, OperateError> {
    if args.json {
        print_json(&json!({ "deleted": 0, "more": false, "took_ms": 0 }))?;
    } else {
        print("nothing to do: Redis deletes what has expired by itself\n")?;
    }
    Ok(Done::Yes)
}
