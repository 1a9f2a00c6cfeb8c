//! The scopes that are known to have spent their budget, and until when.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::ScopeTag;

/// How many are remembered. Each of them has stored a whole budget, so there are
/// hardly ever that many; of more, each execution that ends finds out again.
const MOST: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Remembered {
    until: Mutex<HashMap<ScopeTag, Instant>>,
    /// How many they are, to see without the lock that there are none.
    count: AtomicUsize,
}

impl Remembered {
    /// How long the scope is still to wait, if it is to.
    pub(super) fn left(&self, tag: ScopeTag) -> Option<Duration> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let mut scopes = self.lock();
        let until = scopes.get(&tag).copied()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            scopes.remove(&tag);
            self.count.store(scopes.len(), Relaxed);
            return None;
        }
        Some(left)
    }

    /// Whether it is remembered from now on, and was not before.
    pub(super) fn remember(&self, tag: ScopeTag, until: Instant) -> bool {
        let mut scopes = self.lock();
        if scopes.len() >= MOST {
            let now = Instant::now();
            scopes.retain(|_, until| *until > now);
        }
        let has_room = scopes.len() < MOST || scopes.contains_key(&tag);
        let is_new = has_room && scopes.insert(tag, until).is_none();
        self.count.store(scopes.len(), Relaxed);
        is_new
    }

    /// A poisoned lock is taken all the same: nothing is left half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<ScopeTag, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tag(number: usize) -> ScopeTag {
        // Its first half is what it is found by.
        ScopeTag::from_bytes(((number as u128) << 64).to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn a_scope_is_remembered_until_its_window_ends() {
        let remembered = Remembered::default();
        assert_eq!(remembered.left(tag(1)), None);
        assert!(remembered.remember(tag(1), Instant::now() + SECOND));
        assert!(!remembered.remember(tag(1), Instant::now() + 2 * SECOND));
        assert_eq!(remembered.left(tag(1)), Some(2 * SECOND));
        assert_eq!(remembered.left(tag(2)), None);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(remembered.left(tag(1)), None);
        assert_eq!(remembered.lock().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_those_whose_window_has_ended_make_room() {
        let remembered = Remembered::default();
        let now = Instant::now();
        for number in 0..MOST {
            let seconds = if number % 2 == 0 { 1 } else { 60 };
            assert!(remembered.remember(tag(number), now + seconds * SECOND));
        }
        // None has ended: the next has no room, and who is there keeps its own.
        assert!(!remembered.remember(tag(MOST), now + SECOND));
        assert_eq!(remembered.left(tag(MOST)), None);
        assert!(!remembered.remember(tag(1), now + 50 * SECOND));
        assert_eq!(remembered.left(tag(1)), Some(50 * SECOND));
        tokio::time::advance(SECOND).await;
        assert!(remembered.remember(tag(MOST), now + 2 * SECOND));
        assert_eq!(remembered.left(tag(MOST)), Some(SECOND));
        assert_eq!(remembered.left(tag(3)), Some(59 * SECOND));
        assert_eq!(remembered.lock().len(), MOST / 2 + 1);
    }
}
