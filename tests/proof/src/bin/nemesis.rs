//! Real servers under a nemesis, for as long as one likes.
//!
//! `cargo run -p idem-proof --bin nemesis -- --store all --minutes 10`
//!
//! It ends with a table, and with an error if a promise was broken.

#![allow(clippy::expect_used, reason = "a tool for those who work on idem")]

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use idem_proof::{
    examples,
    nemesis::{Config, Store, report, run, schedule::Schedule},
};

#[derive(Debug, Parser)]
struct Arguments {
    /// redis, sentinel, cluster, postgres, sqlite or all
    #[arg(long, default_value = "all", value_parser = stores)]
    store: Stores,
    /// For how long faults are injected, over each store
    #[arg(long, conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// The same in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Which faults; a random one by default
    #[arg(long)]
    seed: Option<u64>,
    /// How many clients there are
    #[arg(long, default_value_t = 16)]
    clients: u64,
    /// No write waits for a replica: a failover may lose what was acknowledged, and this shows it
    #[arg(long)]
    no_min_replicas: bool,
    /// Only print which faults there would be
    #[arg(long)]
    schedule: bool,
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
        .ok_or_else(|| "there are redis, sentinel, cluster, postgres, sqlite, all".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seconds = arguments
        .minutes
        .map_or(arguments.seconds, |minutes| minutes * 60);
    let time = Duration::from_secs(seconds);
    let seed = arguments
        .seed
        .unwrap_or_else(|| rand::random_range(0..1_000_000));
    if arguments.schedule {
        for store in arguments.store.0 {
            println!("{}\n{}", store.name(), Schedule::new(store, 3, seed, time));
        }
        return ExitCode::SUCCESS;
    }
    examples::build();
    let mut reports = Vec::new();
    for store in arguments.store.0 {
        eprintln!("{} for {seconds} s with the seed {seed} …", store.name());
        let config = Config {
            store,
            seed,
            time,
            min_replicas: !arguments.no_min_replicas,
            clients: arguments.clients,
        };
        let report = run(config).await;
        if !report.is_clean() {
            println!("{}", report.failure());
            let file = std::env::temp_dir().join(format!("nemesis-{}-{seed}.txt", store.name()));
            std::fs::write(&file, report.history.to_string()).expect("a file");
            println!("the whole history: {}\n", file.display());
        }
        if !report.lost.is_empty() {
            println!(
                "promise broken by the store ({}), without min_replicas:",
                store.name()
            );
            for lost in report.lost.iter().take(5) {
                println!("  {lost}");
            }
            println!();
        }
        reports.push(report);
    }
    println!("{}\n{}", report::table(&reports), report::compact(&reports));
    if reports.iter().all(report::Report::is_clean) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
