//! Constant traffic for a long time, and whether anything grows.
//!
//! `cargo run --release -p idem-proof --bin soak -- --minutes 60`
//!
//! It ends with a table, and with an error if something grew.

#![allow(clippy::expect_used, reason = "a tool for those who work on idem")]

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use futures_util::future::join_all;
use idem_proof::{
    examples,
    soak::{Store, run, table},
};

#[derive(Debug, Parser)]
struct Arguments {
    /// memory, redis, sqlite, postgres, or all of them side by side
    #[arg(long, default_value = "all", value_parser = stores)]
    store: Stores,
    /// For how long
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// How many clients each store has
    #[arg(long, default_value_t = 4)]
    clients: u64,
}

#[derive(Debug, Clone)]
struct Stores(Vec<Store>);

fn stores(name: &str) -> Result<Stores, String> {
    if name == "all" {
        return Ok(Stores(Store::ALL.to_vec()));
    }
    let found = Store::ALL.into_iter().find(|store| store.name() == name);
    found
        .map(|store| Stores(vec![store]))
        .ok_or_else(|| "there are memory, redis, sqlite, postgres, all".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    examples::build();
    let time = Duration::from_secs(60 * arguments.minutes);
    let soaking = arguments.store.0.into_iter();
    let soaking = soaking.map(|store| run(store, time, arguments.clients));
    let reports = join_all(soaking).await;
    println!("{}", table(&reports));
    for report in &reports {
        for surprise in &report.surprises {
            println!("{}: {surprise}", report.store.name());
        }
    }
    if reports.iter().all(idem_proof::soak::Report::is_clean) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
