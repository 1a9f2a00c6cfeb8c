//! What the transactional mode costs: the same transfer, of the same statements in one
//! transaction, without idem, with `Tx`, and with a plain claim beside the transaction; on a
//! PostgreSQL of its own and on a SQLite file.
//!
//! `cargo bench --bench transactions --features postgres,sqlite` prints the tables that
//! docs/performance.md shows. Contestants take turns, and each number is the median of the rounds.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark"
)]

#[path = "../redis/measure.rs"]
mod measure;
mod reaper;
mod transfers;

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
            operations: 3_000,
        }
    } else {
        Effort {
            rounds: 1,
            operations: 50,
        }
    };
    transfers::postgres::compare(effort).await;
    transfers::sqlite::compare(effort).await;
    reaper::compare(effort).await;
}
