//! The README's table, from what was measured and the allocations counted.

use std::collections::HashMap;

use crate::turns::Shown;

/// Each row: what it is, its measurement, and the one it is compared with.
const ROWS: [(&str, &str, &str); 8] = [
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
        "a replay from the process's cache",
        "request/cached",
        "request/bare",
    ),
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

pub(crate) fn print(shown: &[Shown], allocations: &[(&str, u64)]) {
    let shown: HashMap<_, _> = shown.iter().map(|shown| (shown.name, shown)).collect();
    let allocations: HashMap<_, _> = allocations.iter().copied().collect();
    let count = |name| match allocations.get(name) {
        Some(count) => count.to_string(),
        None => String::from("not counted"),
    };
    println!("\n| what | time | baseline | time ÷ baseline | allocations : baseline's |");
    println!("| --- | --- | --- | --- | --- |");
    for (what, measured, baseline) in ROWS {
        let (time, base) = (shown[measured], shown[baseline]);
        println!(
            "| {what} | {} | {} | {:.2} | {} : {} |",
            pretty(time.nanoseconds()),
            pretty(base.nanoseconds()),
            time.over(base),
            count(measured),
            count(baseline),
        );
    }
}

fn pretty(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1_000.0 => format!("{n:.0} ns"),
        n if n < 1_000_000.0 => format!("{:.2} µs", n / 1_000.0),
        n => format!("{:.2} ms", n / 1_000_000.0),
    }
}
