//! What many windows come to.

use std::time::Duration;

use crate::measure::Window;

/// With fewer requests there is no telling what one of a thousand takes.
const ENOUGH_FOR_P999: usize = 1000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// Requests; the median.
    pub(crate) per_second: f64,
    /// From the slowest to the fastest window, as a part of the median.
    pub(crate) spread: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Of all windows together: one alone may have too few requests.
    pub(crate) p999: Option<Duration>,
    /// Seconds of a core that 10,000 requests take of the contestant's process. Of all windows together:
    /// the system counts in hundredths of a second.
    pub(crate) service: Option<f64>,
    /// And of its store's server.
    pub(crate) store: Option<f64>,
}

impl Summary {
    /// `None` of no windows, or if one has no requests.
    pub(crate) fn of(windows: &[Window]) -> Option<Self> {
        let sorted: Vec<Vec<Duration>> = windows
            .iter()
            .map(|window| {
                let mut times = window.times.clone();
                times.sort_unstable();
                times
            })
            .collect();
        let rates: Vec<f64> = windows
            .iter()
            .map(|window| window.times.len() as f64 / window.elapsed.as_secs_f64())
            .collect();
        let of_each = |part| -> Option<Vec<f64>> {
            sorted
                .iter()
                .map(|times| percentile(times, part).map(|time| time.as_secs_f64()))
                .collect()
        };
        let requests: usize = windows.iter().map(|window| window.times.len()).sum();
        let mut all: Vec<Duration> = sorted.iter().flatten().copied().collect();
        all.sort_unstable();
        let cpu = |of: fn(&Window) -> Option<f64>| -> Option<f64> {
            let seconds: f64 = windows.iter().map(of).sum::<Option<f64>>()?;
            Some(seconds / requests as f64 * 10_000.0)
        };
        let per_second = median(&rates)?;
        let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = rates.iter().copied().fold(0.0, f64::max);
        Some(Self {
            per_second,
            spread: (fastest - slowest) / per_second,
            p50: Duration::from_secs_f64(median(&of_each(0.5)?)?),
            p99: Duration::from_secs_f64(median(&of_each(0.99)?)?),
            p999: percentile(&all, 0.999).filter(|_| requests >= ENOUGH_FOR_P999),
            service: cpu(|window| window.service),
            store: cpu(|window| window.store),
        })
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 {
        upper
    } else {
        (sorted[middle - 1] + upper) / 2.0
    })
}

/// The smallest of sorted times that is not less than this part of them.
pub(crate) fn percentile(sorted: &[Duration], part: f64) -> Option<Duration> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        times.into_iter().map(Duration::from_millis).collect()
    }

    fn window(elapsed: u64, times: impl IntoIterator<Item = u64>, service: f64) -> Window {
        Window {
            elapsed: Duration::from_millis(elapsed),
            times: millis(times),
            service: Some(service),
            store: None,
        }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn percentiles_are_times_that_were_seen() {
        let hundred = millis(1..=100);
        let at = |part| percentile(&hundred, part);
        assert_eq!(at(0.5), Some(Duration::from_millis(50)));
        assert_eq!(at(0.99), Some(Duration::from_millis(99)));
        assert_eq!(at(0.999), Some(Duration::from_millis(100)));
        assert_eq!(at(0.0), Some(Duration::from_millis(1)));
        assert_eq!(
            percentile(&millis([7]), 0.99),
            Some(Duration::from_millis(7))
        );
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn windows_are_summed_up() {
        let windows = [
            window(1000, [3, 1, 2], 0.3),
            window(1000, [10, 10, 10, 10, 10], 0.1),
            window(2000, [4, 4, 4, 4], 0.2),
        ];
        let summary = Summary::of(&windows).unwrap();
        assert_eq!(summary.per_second, 3.0);
        assert_eq!(summary.spread, 1.0);
        assert_eq!(summary.p50, Duration::from_millis(4));
        assert_eq!(summary.p99, Duration::from_millis(4));
        assert_eq!(summary.p999, None);
        assert!((summary.service.unwrap() - 500.0).abs() < 1e-9);
        assert_eq!(summary.store, None);
    }

    #[test]
    fn one_of_a_thousand_needs_a_thousand() {
        let summary = Summary::of(&[window(1000, 1..=1000, 1.0)]).unwrap();
        assert_eq!(summary.p999, Some(Duration::from_millis(999)));
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[window(1000, [], 0.0)]), None);
    }
}
