//! What each scope has stored in its window.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{ScopeTag, Spent, clock::after};

/// The meters of the scopes. Those whose window has ended are swept out whenever
/// there are twice as many as the last sweep has left.
#[derive(Debug, Default)]
pub(super) struct Meters {
    meters: HashMap<ScopeTag, Meter>,
    sweep_at: usize,
}

const FEWEST_SWEPT: usize = 64;

#[derive(Debug)]
struct Meter {
    total: u64,
    started_at: Instant,
    ends_at: Instant,
}

impl Meters {
    pub(super) fn spend(
        &mut self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
        now: Instant,
    ) -> Spent {
        if self.meters.len() >= self.sweep_at.max(FEWEST_SWEPT) {
            self.meters.retain(|_, meter| now < meter.ends_at);
            self.sweep_at = 2 * self.meters.len();
        }
        let fresh = Meter {
            total: 0,
            started_at: now,
            ends_at: after(now, window),
        };
        let meter = self.meters.entry(tag).or_insert(fresh);
        if meter.ends_at <= now {
            (meter.total, meter.started_at) = (0, now);
        }
        meter.total = meter.total.saturating_add(bytes);
        meter.ends_at = meter.ends_at.max(after(meter.started_at, window));
        Spent {
            total: meter.total,
            resets_in: meter.ends_at.saturating_duration_since(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ended_meters_are_not_kept() {
        let mut meters = Meters::default();
        for number in 0..3_000_u128 {
            tokio::time::advance(Duration::from_millis(10)).await;
            let tag = ScopeTag::from_bytes((number << 64).to_be_bytes());
            let _ = meters.spend(tag, 1, Duration::from_secs(1), Instant::now());
        }
        assert!(meters.meters.len() < 500, "{}", meters.meters.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_meter_that_goes_on_outlives_the_sweeps() {
        let mut meters = Meters::default();
        let long = ScopeTag::from_bytes([0xff; 16]);
        let mut spend = |tag, window| meters.spend(tag, 1, window, Instant::now());
        let _ = spend(long, Duration::from_secs(3_600));
        for number in 0..1_000_u128 {
            tokio::time::advance(Duration::from_millis(10)).await;
            let tag = ScopeTag::from_bytes((number << 64).to_be_bytes());
            let _ = spend(tag, Duration::from_secs(1));
        }
        assert_eq!(spend(long, Duration::from_secs(3_600)).total, 2);
    }
}
