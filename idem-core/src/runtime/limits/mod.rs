//! What one scope may take: who may start an execution, and what it stores.

mod live;
mod meter;
mod remembered;

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use self::{live::Live, meter::Meter};
pub(super) use self::{
    live::Seat,
    meter::{Aside, with_aside},
};
use super::{
    Inner,
    commands::{Commands, Failed},
    names::Named,
};
use crate::{
    Alias, Call, Checkpoint, Claim, Completed, Limit, Limits, OnCrash, PolicyError, Retention,
    SLOT_BYTES, Scope, ScopeTag, SlotState, SlotView, Under,
};

/// When to come again after one's own executions.
const SOON: Duration = Duration::from_secs(1);

/// What is counted of the scopes in this process.
pub(super) struct Gate {
    live: Option<Live>,
    meter: Option<Arc<Meter>>,
}

/// A limit that a scope has met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Met {
    pub(super) limit: Limit,
    pub(super) retry_after: Duration,
}

impl Gate {
    /// `None`: nothing is limited.
    pub(super) fn new(
        limits: Limits,
        commands: &Commands,
        tracker: &TaskTracker,
        store: &'static str,
    ) -> Result<Option<Self>, PolicyError> {
        let zero = |limit: Limit| PolicyError::ZeroLimit {
            limit: limit.name(),
        };
        if limits.live_claims == Some(0) {
            return Err(zero(Limit::LiveClaims));
        }
        if limits.stored_bytes == Some(0) {
            return Err(zero(Limit::StoredBytes));
        }
        if limits.stored_bytes.is_some() && !commands.meters() {
            return Err(PolicyError::Unmetered { store });
        }
        Ok((!limits.is_none()).then(|| Self {
            live: limits.live_claims.map(Live::new),
            meter: limits
                .stored_bytes
                .map(|budget| Arc::new(Meter::new(budget, commands.clone(), tracker.clone()))),
        }))
    }
}

impl Inner {
    /// Takes a seat for one execution of the call's scope. It is held for as long as
    /// the claim lives.
    pub(super) fn enter(&self, call: &Call) -> Result<Option<Seat>, Met> {
        let (Some(gate), Some(tag)) = (&self.gate, call.scope) else {
            return Ok(None);
        };
        if let Some(meter) = &gate.meter {
            meter.check(tag)?;
        }
        gate.live.as_ref().map(|live| live.enter(tag)).transpose()
    }

    /// [`enter`](Self::enter) for an execution that leaves nothing in the store.
    pub(super) fn enter_unprotected(&self, call: &Call) -> Result<Option<Seat>, Met> {
        match (&self.gate, call.scope) {
            (Some(Gate { live, .. }), Some(tag)) => {
                live.as_ref().map(|live| live.enter(tag)).transpose()
            }
            _ => Ok(None),
        }
    }

    /// What a claim by a scope at its limit would be told, as far as the slot shows
    /// it, under either name; `None` if it would run.
    pub(super) async fn standing(&self, call: &Named) -> Result<Option<Claim>, Failed> {
        let mut claim = None;
        for (under, name) in call.names() {
            if let Some(view) = self.commands.inspect(name.slot).await? {
                claim = told(call, under, name, view);
                break;
            }
        }
        // What runs here in a transaction shows no slot.
        if claim.is_none() && self.waiters.owns(&call.own_slot()) {
            let lease_left = call.settings.lease;
            claim = Some(Claim::InFlight { lease_left });
        }
        Ok(claim)
    }

    /// The tag of a scope, where anything is limited.
    pub(super) fn tag(&self, scope: &Scope) -> Option<ScopeTag> {
        let is_limited = self.gate.is_some();
        is_limited.then(|| self.names.current.scope_tag(scope))
    }

    /// Adds what is kept of an execution to its scope's meter: a record, or what a
    /// released slot has of steps.
    pub(super) fn spend(
        &self,
        scope: Option<ScopeTag>,
        kept: u64,
        retention: Retention,
    ) -> Option<Aside> {
        let meter = self.gate.as_ref()?.meter.as_ref()?;
        meter.spend(scope?, SLOT_BYTES.saturating_add(kept), retention.total())
    }

    /// [`spend`](Self::spend) of what has been stored.
    pub(super) async fn count(&self, scope: Option<ScopeTag>, kept: u64, retention: Retention) {
        if let Some(aside) = self.spend(scope, kept, retention) {
            with_aside(std::future::ready(()), aside).await;
        }
    }
}

/// What a slot that is there tells a claim that must not run.
fn told(call: &Named, under: Under, name: Alias, view: SlotView) -> Option<Claim> {
    if view.fingerprint != name.fingerprint {
        return Some(Claim::Mismatch);
    }
    match view.state {
        SlotState::Completed { record, expired } => Some(Claim::Completed(Completed {
            record,
            expired,
            remaining: Duration::ZERO,
            under,
        })),
        SlotState::InFlight { lease_left } => Some(Claim::InFlight { lease_left }),
        SlotState::Unknown => Some(Claim::Unknown),
        SlotState::Lapsed if call.settings.on_crash == OnCrash::Refuse => Some(Claim::Unknown),
        SlotState::Lapsed | SlotState::Released => None,
    }
}

impl Met {
    const fn live_claims() -> Self {
        Self {
            limit: Limit::LiveClaims,
            retry_after: SOON,
        }
    }

    const fn stored_bytes(retry_after: Duration) -> Self {
        Self {
            limit: Limit::StoredBytes,
            retry_after,
        }
    }
}

/// What recovery points count.
pub(super) fn bytes_of(steps: &[Checkpoint]) -> u64 {
    let sizes = steps.iter().map(|step| step.name.len() + step.value.len());
    sizes.sum::<usize>() as u64
}
