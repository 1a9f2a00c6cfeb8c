//! When which process could not renew its leases: what excuses that a key ran twice, and nothing
//! else does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::schedule::SILENCE;

/// A time in which something was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// For which process; `None` for all of them.
    pub node: Option<usize>,
    /// From when.
    pub from: Duration,
    /// Until when.
    pub to: Duration,
    /// What was wrong.
    pub why: &'static str,
}

/// What was wrong, as it happens.
#[derive(Debug, Clone, Default)]
pub struct Windows(Arc<Mutex<Vec<Window>>>);

impl Windows {
    /// Something was wrong, and is no more.
    pub fn note(&self, window: Window) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(window);
    }

    /// All of them.
    #[must_use]
    pub fn take(&self) -> Vec<Window> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The silences of one process that may have cost it a lease, in order.
///
/// Between two that are nearer to one another than [`SILENCE`] a renewal may not have had the time:
/// they count as one.
#[must_use]
pub fn silences(windows: &[Window], node: usize) -> Vec<(Duration, Duration)> {
    let mut own: Vec<_> = windows
        .iter()
        .filter(|window| window.node.is_none_or(|of| of == node))
        .map(|window| (window.from, window.to))
        .collect();
    own.sort_unstable();
    let mut merged: Vec<(Duration, Duration)> = Vec::new();
    for (from, to) in own {
        match merged.last_mut() {
            Some((_, end)) if from <= *end + SILENCE => *end = to.max(*end),
            _ => merged.push((from, to)),
        }
    }
    merged.retain(|(from, to)| *to - *from >= SILENCE);
    merged
}
