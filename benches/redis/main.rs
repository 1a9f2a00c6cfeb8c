//! What idem costs over a Redis of its own on this machine, as ratios against what else one
//! could do with the same server in the same minute.
//!
//! `cargo bench --bench redis --features redis` prints the tables that docs/performance.md shows.
//! Contestants take turns, and each number is the median of the rounds.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark"
)]

mod commands;
mod connections;
mod http;
mod measure;
mod memory;
mod naive;

use measure::Effort;

#[tokio::main]
async fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if has("--list") {
        return;
    }
    // Under a test runner everything runs once, and its numbers mean nothing.
    let effort = if has("--bench") && !has("--test") {
        Effort {
            rounds: 7,
            operations: 20_000,
        }
    } else {
        Effort {
            rounds: 1,
            operations: 100,
        }
    };
    commands::compare(effort).await;
    http::compare(effort).await;
    connections::with_replicas(effort).await;
    connections::beside_large_records(effort).await;
    memory::count(effort).await;
}
