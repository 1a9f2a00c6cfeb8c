//! All that a run has shown.

use std::time::Duration;

use crate::{
    contestants::Contestant, inspection::Inspection, machine::Machine, summary::Summary,
    workload::Workload,
};

/// One contestant under one load.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) contestant: Contestant,
    pub(crate) workload: Workload,
    pub(crate) connections: usize,
    pub(crate) summary: Summary,
}

#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) window: Duration,
    pub(crate) connections: Vec<usize>,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) inspections: Vec<Inspection>,
    /// The median time to an answer of Redis.
    pub(crate) ping: Option<Duration>,
    /// Bytes that one core hashes in a second.
    pub(crate) sha256: f64,
    /// What else is to be known.
    pub(crate) notes: Vec<String>,
}

impl Results {
    pub(crate) fn summary(
        &self,
        contestant: Contestant,
        workload: Workload,
        connections: usize,
    ) -> Option<&Summary> {
        let cell = self.cells.iter().find(|cell| {
            (cell.contestant, cell.workload, cell.connections)
                == (contestant, workload, connections)
        })?;
        Some(&cell.summary)
    }

    /// The throughput of a contestant as a part of another's. Who keeps no answers has one workload.
    pub(crate) fn ratio(
        &self,
        contestant: Contestant,
        workload: Workload,
        against: Contestant,
        connections: usize,
    ) -> Option<f64> {
        let one = self.summary(contestant, workload, connections)?;
        let other = self
            .summary(against, workload, connections)
            .or_else(|| self.summary(against, Workload::Fresh, connections))?;
        Some(one.per_second / other.per_second)
    }
}
