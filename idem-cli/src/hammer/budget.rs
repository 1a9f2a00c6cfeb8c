//! The hard bounds: never more requests, never more time.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::{Duration, Instant};

/// What is left of `--max-requests` and `--max-time`.
#[derive(Debug)]
pub(crate) struct Budget {
    sent: AtomicU64,
    max_requests: u64,
    started: Instant,
    max_time: Duration,
    stopped: OnceLock<Stop>,
}

/// Which bound has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("--max-requests {0} does not leave enough requests")]
    Requests(u64),
    #[error("--max-time {} is over", humantime::format_duration(*.0))]
    Time(Duration),
}

impl Budget {
    pub(crate) fn new(max_requests: u64, max_time: Duration) -> Self {
        Self {
            sent: AtomicU64::new(0),
            max_requests,
            started: Instant::now(),
            max_time,
            stopped: OnceLock::new(),
        }
    }

    /// Leave to send `count` requests: all of them or none, so that no round is half sent.
    pub(crate) fn take(&self, count: u64) -> Result<(), Stop> {
        let taken = if self.left().is_zero() {
            Err(self.out_of_time())
        } else {
            self.take_requests(count)
        };
        taken.inspect_err(|stop| {
            self.stopped.get_or_init(|| *stop);
        })
    }

    fn take_requests(&self, count: u64) -> Result<(), Stop> {
        let add = |sent: u64| {
            let sum = sent.checked_add(count)?;
            (sum <= self.max_requests).then_some(sum)
        };
        self.sent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .map(drop)
            .map_err(|_| Stop::Requests(self.max_requests))
    }

    /// The bound that was reached first, if one was.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stopped.get().copied()
    }

    /// How much of the time is left.
    pub(crate) fn left(&self) -> Duration {
        self.max_time.saturating_sub(self.started.elapsed())
    }

    pub(crate) fn out_of_time(&self) -> Stop {
        Stop::Time(self.max_time)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_does_not_fit_is_not_begun() {
        let budget = Budget::new(5, Duration::from_secs(60));
        assert_eq!(budget.take(3), Ok(()));
        assert_eq!(budget.take(3), Err(Stop::Requests(5)));
        assert_eq!(budget.take(2), Ok(()));
        assert_eq!(budget.sent(), 5);
    }

    #[test]
    fn no_request_after_the_time_is_over() {
        let budget = Budget::new(5, Duration::ZERO);
        assert!(matches!(budget.take(1), Err(Stop::Time(_))));
    }
}
