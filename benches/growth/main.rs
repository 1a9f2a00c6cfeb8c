//! How cost grows: with the number of records that a store holds, with the number of connections,
//! and with the size of a payload; and what options take and save: compression, sealing, secrets.
//!
//! `cargo bench --bench growth --features redis,postgres,sqlite,compression,encryption` prints
//! the tables that docs/performance.md shows. Behind `--`, names of parts (`memory Redis
//! PostgreSQL SQLite connections payloads compression sealing secrets`) show only theirs. What
//! is compared takes turns, and each time is a median. Each part has a process of its own, so
//! that what it takes of memory is seen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark"
)]

mod connections;
mod effort;
mod fit;
#[path = "../redis/measure.rs"]
#[allow(dead_code, reason = "the tables here are others")]
mod measure;
mod options;
mod payloads;
mod records;

use std::{env, process::Command, time::Instant};

use self::effort::{Effort, MEASURED, TRIED};

const PARTS: [&str; 9] = [
    "memory",
    "Redis",
    "PostgreSQL",
    "SQLite",
    "connections",
    "payloads",
    "compression",
    "sealing",
    "secrets",
];
/// Says of which part a process is.
const OF: &str = "--of=";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        return;
    }
    // Under a test runner everything runs once, and its numbers mean nothing.
    let effort = if has("--bench") && !has("--test") {
        MEASURED
    } else {
        TRIED
    };
    if let Some(part) = arguments.iter().find_map(|of| of.strip_prefix(OF)) {
        return run(part, effort);
    }
    let some = PARTS.iter().any(|part| has(part));
    for part in PARTS {
        if some && !has(part) {
            continue;
        }
        let started = Instant::now();
        let status = Command::new(env::current_exe().unwrap())
            .args(&arguments)
            .arg(format!("{OF}{part}"))
            .status()
            .unwrap();
        assert!(status.success(), "{part}: {status}");
        eprintln!("{part}: {:.0?}", started.elapsed());
    }
}

fn run(part: &str, effort: Effort) {
    match part {
        "connections" => connections::compare(effort),
        "payloads" => payloads::compare(effort),
        "compression" => options::compression::compare(effort),
        "sealing" => options::sealing::compare(effort),
        "secrets" => options::secrets::compare(effort),
        store => records::compare(store, effort),
    }
}
