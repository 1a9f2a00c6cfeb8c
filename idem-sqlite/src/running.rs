//! Which slots have a transaction in this process: the database shows it to nobody.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use idem_core::{Claim, ClaimRequest, Fingerprint, Slot, Under};

/// The slots that are claimed in a transaction, or about to be: whoever comes
/// second is told at once, and does not queue for the one writer. A claim by two
/// names is here under both.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<Slot, Fingerprint>>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Fingerprint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a claim meets here, if anything.
    pub(crate) fn meets(&self, request: &ClaimRequest) -> Option<Claim> {
        let running = self.lock();
        names_of(request).find_map(|name| Some(met(*running.get(&name.slot)?, &name)))
    }

    /// Takes the slot until the answer is dropped.
    pub(crate) fn enter(&self, request: &ClaimRequest) -> Result<Entered, Claim> {
        let mut running = self.lock();
        for name in names_of(request) {
            if let Some(fingerprint) = running.get(&name.slot) {
                return Err(met(*fingerprint, &name));
            }
        }
        running.extend(names_of(request).map(|name| (name.slot, name.fingerprint)));
        Ok(Entered {
            slot: request.slot,
            alias: request.alias.map(|alias| alias.slot),
            running: self.clone(),
        })
    }
}

fn names_of(request: &ClaimRequest) -> impl Iterator<Item = ClaimRequest> {
    let alias = request.alias.map(|_| request.under(Under::Alias));
    std::iter::once(request.under(Under::Slot)).chain(alias)
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
    alias: Option<Slot>,
    running: Running,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        running.remove(&self.slot);
        if let Some(alias) = &self.alias {
            running.remove(alias);
        }
    }
}
