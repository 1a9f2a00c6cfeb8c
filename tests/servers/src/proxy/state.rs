//! What a proxy does to its connections just now.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What happens to bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything passes.
    Pass,
    /// Requests pass, replies are thrown away.
    DropReplies,
    /// Nothing passes, nothing is closed.
    Blackhole,
    /// Everything is closed.
    Refuse,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) mode: Mode,
    /// Connections are of the generation in which they came. Older ones are closed.
    pub(super) generation: u64,
    /// How many replies are still to be lost.
    pub(super) resets: u64,
    /// How long bytes to a replica are held.
    pub(super) delay: Duration,
    /// How long all other bytes are held, in each direction.
    pub(super) lag: Duration,
    /// Whether bytes to a replica are held for good.
    pub(super) frozen: bool,
}

/// Shared by the handle and the connections.
///
/// Bytes are passed on under the lock of the state: once a method of the handle has returned, not a
/// byte passes that the new state does not let pass.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    lost: AtomicU64,
    round_trips: AtomicU64,
    open: AtomicUsize,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                mode: Mode::Pass,
                generation: 0,
                resets: 0,
                delay: Duration::ZERO,
                lag: Duration::ZERO,
                frozen: false,
            }),
            changed: watch::Sender::new(()),
            lost: AtomicU64::new(0),
            round_trips: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells the connections.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn lost(&self) -> &AtomicU64 {
        &self.lost
    }

    pub(super) fn round_trips(&self) -> &AtomicU64 {
        &self.round_trips
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Counts a connection for as long as the answer lives.
    pub(super) fn count(&self) -> Counted<'_> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Counted(self)
    }
}

/// A connection that is counted.
pub(super) struct Counted<'a>(&'a Shared);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
