//! The README's table, from what criterion measured and the allocations counted.

use std::{collections::HashMap, fs, path::PathBuf};

use serde_json::Value;

/// Each row: what it is, its measurement, and the one it is compared with.
const ROWS: [(&str, &str, &str); 7] = [
    (
        "a request to the bare handler",
        "request/bare",
        "request/bare",
    ),
    (
        "a protected request, fresh key",
        "request/fresh",
        "request/bare",
    ),
    ("a replay", "request/replay", "request/bare"),
    (
        "fingerprint, 6 fields",
        "fingerprint-small/typed",
        "fingerprint-small/json",
    ),
    (
        "fingerprint, 1 KiB",
        "fingerprint-kilobyte/typed",
        "fingerprint-kilobyte/json",
    ),
    (
        "fingerprint, 1 MiB of records",
        "fingerprint-large/typed",
        "fingerprint-large/json",
    ),
    (
        "fingerprint, 1 MiB of text",
        "fingerprint-text/typed",
        "fingerprint-text/json",
    ),
];

pub(crate) fn print(allocations: &[(&str, u64)]) {
    let allocations: HashMap<_, _> = allocations.iter().copied().collect();
    let count = |name| match allocations.get(name) {
        Some(count) => count.to_string(),
        None => String::from("not counted"),
    };
    println!("\n| what | time | baseline | time ÷ baseline | allocations : baseline's |");
    println!("| --- | --- | --- | --- | --- |");
    for (what, measured, baseline) in ROWS {
        let (Some(time), Some(base)) = (median(measured), median(baseline)) else {
            continue;
        };
        println!(
            "| {what} | {} | {} | {:.2} | {} : {} |",
            pretty(time),
            pretty(base),
            time / base,
            count(measured),
            count(baseline),
        );
    }
}

/// The median that criterion wrote, in nanoseconds.
fn median(name: &str) -> Option<f64> {
    let mut path = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into()));
    path.push("criterion");
    path.push(name);
    path.push("new/estimates.json");
    let estimates: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn pretty(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1_000.0 => format!("{n:.0} ns"),
        n if n < 1_000_000.0 => format!("{:.2} µs", n / 1_000.0),
        n => format!("{:.2} ms", n / 1_000_000.0),
    }
}
