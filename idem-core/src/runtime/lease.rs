//! What running work can know of its own claim.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{Checkpoint, Fence, Grant, clock::after};

/// The claim under which work runs: which attempt it is, its fencing token, and
/// whether it still holds. Cheap to clone; clones share everything.
///
/// Work that outlives its lease (a stopped process that wakes up, a store that
/// was out of reach) may not be the only one any more. What it writes through idem
/// is refused then; what it does elsewhere can only be stopped by itself, or by
/// a system that is given the [`fence`](Self::fence) and checks it:
///
/// ```
/// use idem_core::{Call, Execution, Finish, Lease, Runtime};
///
/// async fn export(lease: Lease) -> Result<u32, &'static str> {
///     let mut rows = 0;
///     for _page in 0..10 {
///         if lease.is_lost() {
///             return Err("another execution has taken over");
///         }
///         rows += 100;
///     }
///     Ok(rows)
/// }
/// ```
#[derive(Clone)]
pub struct Lease(Arc<Held>);

/// A claim as its heartbeat and its work see it.
pub(crate) struct Held {
    /// `None`: the work runs without protection.
    grant: Option<Grant>,
    attempt: u32,
    lease: Duration,
    state: Mutex<State>,
    changed: Notify,
    /// What this attempt has kept of steps, in bytes.
    steps: AtomicU64,
}

struct State {
    /// Until when nobody can have taken over, by this process's clock: it was
    /// read before the store was asked. `None`: for ever.
    sure_until: Option<Instant>,
    is_fenced: bool,
    /// The work has ended, and its claim with it.
    is_over: bool,
}

impl Held {
    /// A claim that was asked for at `asked_at`.
    pub(crate) fn claimed(
        grant: Grant,
        attempt: u32,
        lease: Duration,
        asked_at: Instant,
    ) -> Arc<Self> {
        Self::new(Some(grant), attempt, lease, Some(after(asked_at, lease)))
    }

    /// No claim.
    pub(crate) fn unprotected() -> Arc<Self> {
        Self::new(None, 1, Duration::ZERO, None)
    }

    fn new(
        grant: Option<Grant>,
        attempt: u32,
        lease: Duration,
        sure_until: Option<Instant>,
    ) -> Arc<Self> {
        Arc::new(Self {
            grant,
            attempt,
            lease,
            state: Mutex::new(State {
                sure_until,
                is_fenced: false,
                is_over: false,
            }),
            changed: Notify::new(),
            steps: AtomicU64::new(0),
        })
    }

    pub(crate) const fn grant(&self) -> Option<Grant> {
        self.grant
    }

    pub(crate) const fn lease(&self) -> Duration {
        self.lease
    }

    /// A step has been kept.
    pub(crate) fn keeps(&self, step: &Checkpoint) {
        let bytes = step.name.len() + step.value.len();
        self.steps.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store has renewed the lease when it was asked at `asked_at`.
    pub(crate) fn renewed(&self, asked_at: Instant) {
        let mut state = self.lock();
        let until = after(asked_at, self.lease);
        if let Some(sure_until) = &mut state.sure_until {
            *sure_until = until.max(*sure_until);
        }
    }

    /// Another execution has taken over.
    pub(crate) fn fenced(&self) {
        self.lock().is_fenced = true;
        self.changed.notify_waiters();
    }

    /// The work has ended: nothing may begin under its claim any more.
    pub(crate) fn over(&self) {
        self.lock().is_over = true;
        self.changed.notify_waiters();
    }

    /// The work begins again under the same claim.
    pub(crate) fn goes_on(&self) {
        self.lock().is_over = false;
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.lock().is_fenced
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Whether nobody can have taken over.
    pub(crate) fn is_sure(&self) -> bool {
        let state = self.lock();
        !state.is_fenced
            && !state.is_over
            && state.sure_until.is_none_or(|until| Instant::now() < until)
    }
}

impl Lease {
    pub(crate) const fn of(held: Arc<Held>) -> Self {
        Self(held)
    }

    /// 1 for the first execution, one more for each takeover or re-run.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The claim's fencing token, to pass on to systems that can check it: of two
    /// writers for one key, the one with the higher fence is the newer. `None`
    /// where the work runs without protection (an optional key that was not
    /// sent, a store that failed open).
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        self.0.grant().map(|grant| grant.fence)
    }

    /// Whether this may not be the only execution any more: another has taken
    /// over, or the store has confirmed the lease for so long no more that one may
    /// have; the latter can change back, when the store answers again. It is lost,
    /// too, once the work has ended, for whatever it has left behind.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.0.is_sure()
    }

    /// Waits until the lease [is lost](Self::is_lost), which is usually for ever:
    /// for a `select!` beside the work.
    ///
    /// # Cancellation
    /// It may be dropped and called again at any time.
    ///
    /// # Panics
    /// When polled outside a tokio runtime with its time driver enabled.
    pub async fn lost(&self) {
        loop {
            let changed = self.0.changed.notified();
            let (is_gone, sure_until) = {
                let state = self.0.lock();
                (state.is_fenced || state.is_over, state.sure_until)
            };
            if is_gone {
                return;
            }
            match sure_until {
                Some(until) if until <= Instant::now() => return,
                Some(until) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
                None => changed.await,
            }
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("attempt", &self.attempt())
            .field("fence", &self.fence())
            .field("is_lost", &self.is_lost())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OwnerId, Slot};

    fn held() -> Arc<Held> {
        let grant = Grant {
            slot: Slot::from_bytes([1; 32]),
            owner: OwnerId::random(),
            fence: Fence::FIRST,
        };
        Held::claimed(grant, 1, Duration::from_secs(30), Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_confirms_is_lost_when_it_is_over() {
        let (held, start) = (held(), Instant::now());
        let lease = Lease::of(Arc::clone(&held));
        assert!(!lease.is_lost());
        tokio::time::advance(Duration::from_secs(20)).await;
        held.renewed(Instant::now());
        lease.lost().await;
        assert_eq!(start.elapsed(), Duration::from_secs(50));
        held.renewed(Instant::now());
        assert!(!lease.is_lost());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_of_a_takeover_at_once() {
        let (held, start) = (held(), Instant::now());
        let lease = Lease::of(Arc::clone(&held));
        let waiting = tokio::spawn(async move { lease.lost().await });
        tokio::task::yield_now().await;
        held.fenced();
        waiting.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_lost_as_soon_as_the_work_has_ended_or_another_has_taken_over() {
        let held = held();
        let lease = Lease::of(Arc::clone(&held));
        held.over();
        assert!(lease.is_lost());
        held.goes_on();
        assert!(!lease.is_lost());
        held.fenced();
        assert!(lease.is_lost() && held.is_fenced());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_claim_there_is_nothing_to_lose() {
        let lease = Lease::of(Held::unprotected());
        tokio::time::advance(Duration::from_secs(1 << 30)).await;
        assert!(!lease.is_lost());
        assert_eq!((lease.attempt(), lease.fence()), (1, None));
    }
}
