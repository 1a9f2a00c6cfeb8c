//! How much is done.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use clap::Args;

use crate::contestants::Contestant;

/// What part of a window is done before it, unmeasured.
const WARM_UP: u32 = 10;
/// How many requests are sent to count allocations, at the most.
const COUNTED: usize = 500;

#[derive(Debug, Clone, Args)]
pub(crate) struct Effort {
    /// How long each contestant is loaded in each round, with each workload and number of connections.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(crate) seconds_per_round: Duration,
    /// How often each contestant has its turn; medians are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Over how many connections at once.
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        default_value = "1,16,64,256",
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    connections: Vec<u16>,
    /// Only these contestants; ratios need the one that they are against, too.
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    pub(crate) only: Vec<Contestant>,
    /// How many records are kept to see what one takes.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    records: u32,
    /// How many groups of duplicates are sent in flight.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) groups: u16,
    /// Where load.md and load.svg are written.
    #[arg(long, value_name = "DIR", default_value = "docs")]
    pub(crate) out: PathBuf,
}

impl Effort {
    /// Each once.
    pub(crate) fn connections(&self) -> Vec<usize> {
        let each: BTreeSet<usize> = self.connections.iter().copied().map(usize::from).collect();
        each.into_iter().collect()
    }

    pub(crate) fn warm_up(&self) -> Duration {
        self.seconds_per_round / WARM_UP
    }

    pub(crate) fn records(&self) -> usize {
        self.records as usize
    }

    pub(crate) fn counted(&self) -> usize {
        self.records().min(COUNTED)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let bounds = 0.01..=60.0;
    match text.parse::<f64>() {
        Ok(seconds) if bounds.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number from 0.01 to 60".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_its_bounds() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for refused in ["0", "61", "NaN", "-1", "soon"] {
            assert!(seconds(refused).is_err(), "{refused}");
        }
    }
}
