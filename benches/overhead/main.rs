//! What idem costs: a protected request and a replay over the bare handler, in
//! process and without a socket, and the fingerprint over hashing the JSON.
//!
//! `cargo bench --bench overhead` ends in the table that the README shows.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod allocations;
mod fingerprint;
mod requests;
mod table;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    requests::measure(&mut criterion);
    fingerprint::measure(&mut criterion);
    criterion.final_summary();
    // Under a test runner each benchmark runs once, or is only listed.
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--bench") && !has("--test") && !has("--list") {
        table::print(&allocations::count());
    }
}
