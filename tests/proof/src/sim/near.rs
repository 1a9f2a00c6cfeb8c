//! The simulation's store without the simulation: for the conformance suite.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use idem_core::{Store, StoreError};
use tokio::time::Instant;

use super::{
    machine::{Machine, Reply, Request},
    wire::{Far, Wire},
};

struct Near {
    machine: Mutex<Machine>,
    start: Instant,
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near").finish_non_exhaustive()
    }
}

impl Wire for Near {
    async fn ask(&self, request: Request) -> Result<Reply, StoreError> {
        // As on any wire, others may come first.
        tokio::task::yield_now().await;
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(machine.apply(&request, self.start.elapsed(), &mut Vec::new()))
    }
}

/// The store of the simulation on tokio's clock, with nothing that goes wrong.
///
/// # Panics
/// Outside a tokio runtime with a paused clock it measures real time.
#[must_use]
pub fn store() -> impl Store {
    Far(Near {
        machine: Mutex::default(),
        start: Instant::now(),
    })
}
