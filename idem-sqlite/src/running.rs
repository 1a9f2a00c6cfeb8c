//! Which slots have a transaction in this process: the database shows it to nobody.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use idem_core::{Claim, ClaimRequest, Fingerprint, Slot};

/// The slots that are claimed in a transaction, or about to be: whoever comes
/// second is told at once, and does not queue for the one writer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<Slot, Fingerprint>>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Fingerprint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a claim meets here, if anything.
    pub(crate) fn meets(&self, request: &ClaimRequest) -> Option<Claim> {
        let running = self.lock();
        Some(met(*running.get(&request.slot)?, request))
    }

    /// Takes the slot until the answer is dropped.
    pub(crate) fn enter(&self, request: &ClaimRequest) -> Result<Entered, Claim> {
        match self.lock().entry(request.slot) {
            Entry::Occupied(entry) => Err(met(*entry.get(), request)),
            Entry::Vacant(entry) => {
                entry.insert(request.fingerprint);
                Ok(Entered {
                    slot: request.slot,
                    running: self.clone(),
                })
            }
        }
    }
}

fn met(fingerprint: Fingerprint, request: &ClaimRequest) -> Claim {
    if fingerprint == request.fingerprint {
        // A transaction has no lease.
        Claim::InFlight {
            lease_left: request.lease,
        }
    } else {
        Claim::Mismatch
    }
}

#[derive(Debug)]
pub(crate) struct Entered {
    slot: Slot,
    running: Running,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.lock().remove(&self.slot);
    }
}
