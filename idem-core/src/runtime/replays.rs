//! Recorded answers that this process has seen: they are replayed without the store.

use std::fmt;

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use tokio::time::Instant;

use super::admit::Rivals;
use crate::{Alias, Completed, Fingerprint, ReplayCache, Slot, Under, clock::after};

/// What an answer takes beside its bytes: its name and the cache's own, about.
const AROUND: usize = 256;

/// About how long an answer is: how many the cache makes room for at first.
const USUAL: usize = 1024;

pub(super) struct Replays {
    kept: Cache<Slot, Kept, Weight>,
    limits: ReplayCache,
}

/// By the slot under the runtime's own secret, whatever it is stored under.
#[derive(Clone)]
struct Kept {
    /// Under the runtime's own secret, too.
    fingerprint: Fingerprint,
    under: Under,
    /// As it is stored.
    record: Bytes,
    until: Instant,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Slot, Kept> for Weight {
    fn weight(&self, _: &Slot, kept: &Kept) -> u64 {
        (AROUND + kept.record.len()) as u64
    }
}

impl Replays {
    /// `None`: nothing would be kept.
    pub(super) fn new(limits: ReplayCache) -> Option<Self> {
        let ReplayCache { max_bytes, max_age } = limits;
        (max_bytes > 0 && !max_age.is_zero()).then(|| Self {
            kept: Cache::with_weighter(
                (max_bytes / (AROUND + USUAL)).max(1),
                max_bytes as u64,
                Weight,
            ),
            limits,
        })
    }

    /// What the store would say of a call of this name, if that is known.
    pub(super) fn find(&self, name: Alias) -> Option<Rivals> {
        let kept = self.kept.get(&name.slot)?;
        let remaining = kept.until.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            self.kept
                .remove_if(&name.slot, |other| other.until == kept.until);
            return None;
        }
        if kept.fingerprint != name.fingerprint {
            return Some(Rivals::Mismatch);
        }
        Some(Rivals::Completed(Completed {
            record: kept.record,
            expired: false,
            remaining,
            under: kept.under,
        }))
    }

    /// Keeps what the store has said of a call of this name, which was asked at `asked`.
    pub(super) fn keep(&self, name: Alias, completed: &Completed, asked: Instant) {
        if completed.expired {
            return;
        }
        let age = completed.remaining.min(self.limits.max_age);
        self.kept.insert(
            name.slot,
            Kept {
                fingerprint: name.fingerprint,
                under: completed.under,
                record: completed.record.clone(),
                until: after(asked, age),
            },
        );
    }
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replays")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn cache(max_bytes: usize) -> Replays {
        let max_age = 10 * SECOND;
        Replays::new(ReplayCache { max_bytes, max_age }).unwrap()
    }

    fn name(number: u32) -> Alias {
        let mut slot = [7; 32];
        slot[..4].copy_from_slice(&number.to_le_bytes());
        Alias {
            slot: Slot::from_bytes(slot),
            fingerprint: Fingerprint::from_bytes([1; 32]),
        }
    }

    fn completed(bytes: usize, remaining: Duration) -> Completed {
        Completed {
            record: vec![b'r'; bytes].into(),
            expired: false,
            remaining,
            under: Under::Alias,
        }
    }

    fn replays(found: Option<Rivals>) -> Option<Completed> {
        match found? {
            Rivals::Completed(completed) => Some(completed),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_kept_for_its_age_and_not_beyond_its_ttl() {
        let cache = cache(1 << 20);
        for (number, remaining, age) in [(1, 60 * SECOND, 10), (2, 3 * SECOND, 3)] {
            let asked = Instant::now();
            // The answer took a second.
            tokio::time::advance(SECOND).await;
            cache.keep(name(number), &completed(10, remaining), asked);
            tokio::time::advance((age - 1) * SECOND - SECOND / 10).await;
            let found = replays(cache.find(name(number))).unwrap();
            assert_eq!((found.remaining, found.under), (SECOND / 10, Under::Alias));
            tokio::time::advance(SECOND / 10).await;
            assert!(cache.find(name(number)).is_none());
        }
        assert_eq!(cache.kept.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_past_its_ttl_is_the_stores_to_answer() {
        let cache = cache(1 << 20);
        let expired = Completed {
            expired: true,
            ..completed(10, SECOND)
        };
        cache.keep(name(1), &expired, Instant::now());
        assert!(cache.find(name(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn another_payload_is_no_replay() {
        let cache = cache(1 << 20);
        cache.keep(name(1), &completed(10, SECOND), Instant::now());
        let other = Alias {
            fingerprint: Fingerprint::from_bytes([2; 32]),
            ..name(1)
        };
        assert!(matches!(cache.find(other), Some(Rivals::Mismatch)));
        assert!(cache.find(name(2)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_takes_no_more_bytes_than_it_may() {
        let cache = cache(1 << 20);
        for number in 0..10_000 {
            let record = completed(1024, SECOND);
            cache.keep(name(number), &record, Instant::now());
        }
        let most = (1 << 20) / (AROUND + 1024);
        assert!(cache.kept.weight() <= 1 << 20);
        let found = (0..10_000).filter(|number| cache.find(name(*number)).is_some());
        assert!((most / 2..=most).contains(&found.count()));
        cache.keep(name(1), &completed(2 << 20, SECOND), Instant::now());
        assert!(cache.kept.weight() <= 1 << 20);
    }

    #[test]
    fn without_room_or_time_there_is_no_cache() {
        for (max_bytes, max_age) in [(0, SECOND), (1 << 20, Duration::ZERO)] {
            assert!(Replays::new(ReplayCache { max_bytes, max_age }).is_none());
        }
    }
}
