//! How much a store may hold.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::entry::Entry;
use crate::StoreError;

/// Counts slots and bytes over all shards. The counts guard nothing but
/// themselves, so relaxed ordering is enough.
#[derive(Debug)]
pub(super) struct Budget {
    max_slots: usize,
    max_bytes: usize,
    slots: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    pub(super) const fn new(max_slots: usize, max_bytes: usize) -> Self {
        Self {
            max_slots,
            max_bytes,
            slots: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Takes the place of a new entry. Only new entries can be refused: a
    /// record must land even if its store filled up meanwhile, so bytes may
    /// overshoot by the records of what was in flight.
    pub(super) fn take(&self, entry: &Entry) -> Result<(), StoreError> {
        let cost = entry.cost();
        if self.bytes.fetch_add(cost, Relaxed) + cost > self.max_bytes {
            self.bytes.fetch_sub(cost, Relaxed);
            return Err(StoreError::Full {
                limit: self.max_bytes as u64,
                unit: "bytes",
            });
        }
        if self.slots.fetch_add(1, Relaxed) >= self.max_slots {
            self.free(cost);
            return Err(StoreError::Full {
                limit: self.max_slots as u64,
                unit: "slots",
            });
        }
        Ok(())
    }

    pub(super) fn adjust(&self, before: usize, after: usize) {
        if after >= before {
            self.bytes.fetch_add(after - before, Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Relaxed);
        }
    }

    pub(super) fn free(&self, cost: usize) {
        self.bytes.fetch_sub(cost, Relaxed);
        self.slots.fetch_sub(1, Relaxed);
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.load(Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }
}
