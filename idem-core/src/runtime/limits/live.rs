//! How many executions of each scope this process has.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Met;
use crate::ScopeTag;

/// The scopes that have executions now: as many entries as there are executions,
/// at the most.
pub(super) struct Live {
    most: u32,
    counts: Arc<Counts>,
}

type Counts = Mutex<HashMap<ScopeTag, u32>>;

/// One execution of a scope, counted for as long as this lives.
#[must_use]
pub(in crate::runtime) struct Seat {
    tag: ScopeTag,
    counts: Arc<Counts>,
}

impl Live {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            counts: Arc::default(),
        }
    }

    pub(super) fn enter(&self, tag: ScopeTag) -> Result<Seat, Met> {
        let mut counts = lock(&self.counts);
        let count = counts.entry(tag).or_default();
        if *count >= self.most {
            return Err(Met::live_claims());
        }
        *count += 1;
        Ok(Seat {
            tag,
            counts: Arc::clone(&self.counts),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.tag) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tag);
            }
        }
    }
}

/// A poisoned lock is taken all the same: nothing is left half changed.
fn lock(counts: &Counts) -> MutexGuard<'_, HashMap<ScopeTag, u32>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_scope_without_executions() {
        let live = Live::new(2);
        let tag = |byte| ScopeTag::from_bytes([byte; 16]);
        let entries = || lock(&live.counts).len();
        let seats = [1, 1, 2].map(|byte| live.enter(tag(byte)).ok().unwrap());
        assert!(live.enter(tag(1)).is_err());
        assert_eq!(entries(), 2);
        let [first, second, third] = seats;
        drop(first);
        drop(live.enter(tag(1)).ok().unwrap());
        assert_eq!(entries(), 2);
        drop(second);
        drop(third);
        assert_eq!(entries(), 0);
    }
}
