//! Contestants that take turns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) operations: usize,
}

/// One operation, done by the worker of that number.
pub(crate) type Operation = Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) operation: Operation,
}

/// What a contestant has shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// So many workers do operations one after the other, for each contestant in
/// turn; the median of the rounds.
pub(crate) async fn race(contestants: &[Contestant], workers: usize, effort: Effort) -> Vec<Shown> {
    let mut rounds: Vec<Vec<Shown>> = vec![Vec::new(); contestants.len()];
    // The first round warms up.
    for round in 0..=effort.rounds {
        for (shown, contestant) in rounds.iter_mut().zip(contestants) {
            let run = run(&contestant.operation, workers, effort.operations).await;
            if round > 0 {
                shown.push(run);
            }
        }
    }
    rounds.iter().map(|shown| median(shown)).collect()
}

async fn run(operation: &Operation, workers: usize, operations: usize) -> Shown {
    let left = Arc::new(AtomicUsize::new(operations));
    let started = Instant::now();
    let tasks: Vec<_> = (0..workers)
        .map(|worker| {
            let (left, operation) = (Arc::clone(&left), Arc::clone(operation));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while left
                    .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    let started = Instant::now();
                    operation(worker).await;
                    times.push(started.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::with_capacity(operations);
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let per_second = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    Shown {
        per_second,
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

fn median(shown: &[Shown]) -> Shown {
    fn middle<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
        values.sort_by(|a, b| a.partial_cmp(b).unwrap());
        values[values.len() / 2]
    }
    Shown {
        per_second: middle(shown.iter().map(|shown| shown.per_second).collect()),
        p50: middle(shown.iter().map(|shown| shown.p50).collect()),
        p99: middle(shown.iter().map(|shown| shown.p99).collect()),
    }
}

/// A table of what each has shown; ratios against the first.
pub(crate) fn print(title: &str, contestants: &[Contestant], shown: &[Shown]) {
    println!("\n{title}\n");
    println!("| what | a second | ÷ first | p50 | p99 |");
    println!("| --- | --- | --- | --- | --- |");
    for (contestant, one) in contestants.iter().zip(shown) {
        println!(
            "| {} | {:.0} | {:.2} | {:.0} µs | {:.0} µs |",
            contestant.name,
            one.per_second,
            one.per_second / shown[0].per_second,
            one.p50.as_secs_f64() * 1e6,
            one.p99.as_secs_f64() * 1e6,
        );
    }
}
