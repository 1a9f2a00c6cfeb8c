//! How often handlers have run.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Executions(Arc<AtomicU64>);

impl Executions {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
