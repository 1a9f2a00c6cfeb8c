//! Stores in this process.

use std::fs;

use idem_axum::MemoryStore;

use super::{
    Filled,
    executions::{fill, runtime},
};

pub(crate) async fn filled(sizes: &[usize]) -> Vec<Filled> {
    let new = || runtime(MemoryStore::with_limits(usize::MAX, usize::MAX));
    // The allocator's own places for each thread are there before anything is counted.
    let warm = new();
    fill("memory, to warm up", &warm, sizes[0]).await;
    let mut stores = Vec::new();
    for &records in sizes {
        let runtime = new();
        let before = resident();
        fill("memory", &runtime, records).await;
        let grown = resident().zip(before).map(|(after, before)| after - before);
        stores.push(Filled {
            runtime,
            records,
            bytes: grown.map(|bytes| bytes / records as f64),
        });
    }
    // Not earlier: others would have its memory.
    drop(warm);
    stores
}

/// The bytes of memory that this process has, where `/proc` says it.
fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}
