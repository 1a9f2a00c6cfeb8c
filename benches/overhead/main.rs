//! What idem costs: a protected request and a replay over the bare handler, in
//! process and without a socket, and the fingerprint over hashing the JSON.
//!
//! `cargo bench --bench overhead` prints the table that the README shows.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod allocations;
mod fingerprint;
mod requests;
mod table;
mod turns;

use std::time::Duration;

use turns::Effort;

fn main() {
    // Under a test runner each benchmark runs once, or is only listed.
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if has("--list") {
        return;
    }
    let effort = if has("--bench") && !has("--test") {
        Effort {
            rounds: 301,
            turn: Duration::from_millis(5),
        }
    } else {
        Effort {
            rounds: 1,
            turn: Duration::ZERO,
        }
    };
    let mut shown = requests::measure(effort);
    shown.extend(fingerprint::measure(effort));
    table::print(&shown, &allocations::count());
}
