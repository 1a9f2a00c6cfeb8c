//! What an execution and a replay take when the store holds so many records already.
//!
//! The stores of all sizes are there at the same time and take turns: what else the machine does
//! meanwhile is no growth.

mod executions;
mod memory;
mod postgres;
mod redis;
mod sqlite;

use std::time::Duration;

use idem_core::Runtime;

use self::executions::{fresh, replay};
use crate::{
    effort::Effort,
    fit::{grouped, median, slope},
};

/// The most executions of a size before the next has its turn.
const TURN: usize = 100;

/// A store that holds records.
pub(crate) struct Filled {
    pub(crate) runtime: Runtime,
    pub(crate) records: usize,
    /// What each of its records takes, where that can be said.
    pub(crate) bytes: Option<f64>,
}

pub(crate) fn compare(store: &str, effort: Effort) {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let compared = async move |store: &str| match store {
        "memory" => take_turns(store, memory::filled(effort.in_memory).await, effort).await,
        "Redis" => {
            let (stores, _servers) = redis::filled(effort.in_others).await;
            take_turns(store, stores, effort).await;
        }
        "PostgreSQL" => {
            let (stores, _server) = postgres::filled(effort.in_others).await;
            take_turns(store, stores, effort).await;
        }
        "SQLite" => {
            let (stores, _directory) = sqlite::filled(effort.in_others).await;
            take_turns(store, stores, effort).await;
        }
        other => panic!("no part is named {other}"),
    };
    tokio.block_on(compared(store));
}

/// What a store of one size has shown.
#[derive(Default, Clone)]
struct Shown {
    fresh: Vec<Duration>,
    replay: Vec<Duration>,
}

async fn take_turns(name: &str, stores: Vec<Filled>, effort: Effort) {
    // On a worker of the runtime, as a request is: whoever drives it from outside waits for
    // another thread each time.
    let (stores, shown) = tokio::spawn(async move {
        let mut shown = vec![Shown::default(); stores.len()];
        // The first round warms up.
        for round in 0..=effort.record_rounds {
            for (shown, store) in shown.iter_mut().zip(&stores) {
                let mut turn = turn(store, round).await;
                if round > 0 {
                    shown.fresh.append(&mut turn.fresh);
                    shown.replay.append(&mut turn.replay);
                }
            }
        }
        (stores, shown)
    })
    .await
    .unwrap();
    eprintln!("{name}: {} rounds are done", effort.record_rounds);
    print(name, &stores, &shown);
}

/// New keys remain, so a small store has few in each turn: it must not become another one.
async fn turn(store: &Filled, round: usize) -> Shown {
    let mut shown = Shown::default();
    for number in 0..(store.records / 40).clamp(1, TURN) {
        let key = format!("fresh-{round}-{number}");
        shown.fresh.push(fresh(&store.runtime, &key).await);
        let held = rand::random_range(0..store.records);
        shown.replay.push(replay(&store.runtime, held).await);
    }
    shown
}

fn print(name: &str, stores: &[Filled], shown: &[Shown]) {
    let micros = |times: &[Duration]| median(times).as_secs_f64() * 1e6;
    println!("\n| {name}: records | fresh key | replay | bytes a record |");
    println!("| --- | --- | --- | --- |");
    for (store, shown) in stores.iter().zip(shown) {
        println!(
            "| {} | {:.1} µs | {:.1} µs | {} |",
            grouped(store.records),
            micros(&shown.fresh),
            micros(&shown.replay),
            store
                .bytes
                .map_or("–".to_owned(), |bytes| format!("{bytes:.0}")),
        );
    }
    let grows = |of: fn(&Shown) -> &[Duration]| {
        let points = stores.iter().zip(shown);
        slope(points.map(|(store, shown)| (store.records as f64, micros(of(shown)))))
    };
    println!(
        "| time grows as | N^{:.3} | N^{:.3} | |",
        grows(|shown| &shown.fresh),
        grows(|shown| &shown.replay),
    );
}
