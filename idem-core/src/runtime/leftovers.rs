//! What a runtime holds: for tests that nothing is left.

use super::{MAX_SETTLING, Runtime};

/// What a [`Runtime`] holds now. Nothing of it is left once everything has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Executions, and tasks that store outcomes or follow up claims.
    pub tasks: usize,
    /// Leases that are renewed.
    pub heartbeats: usize,
    /// Slots that somebody waits for, or whose end somebody is to be told of.
    pub waited_for: usize,
    /// Claims without an answer that are followed up.
    pub settling: usize,
}

impl Runtime {
    /// What it holds now (feature `testing`).
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        let inner = &self.inner;
        Leftovers {
            tasks: inner.tracker.len(),
            heartbeats: inner.heartbeats.len(),
            waited_for: inner.waiters.len(),
            settling: MAX_SETTLING - inner.settling.available_permits(),
        }
    }
}
