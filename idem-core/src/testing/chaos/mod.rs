//! A store that misbehaves on purpose.

mod fault;
mod plan;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    fault::{Fault, InjectedFault, Odds, Verb},
    plan::Plan,
};
use crate::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Resolution, Resolved,
    Retention, ScopeTag, Slot, SlotView, Spent, Store, StoreError, Written,
};

/// A store around another one, that delays, fails, loses replies and hangs as
/// its [`Plan`] says. Without one it is the store inside. Cheap to clone;
/// clones share store and plan.
///
/// It is for tests of what stands on a store, yours included: what does your
/// service answer when the store is away? The [module](crate::testing) has an
/// example by script; this one is by seed:
///
/// ```
/// use idem_core::{MemoryStore, Runtime};
/// use idem_core::testing::{ChaosStore, Odds};
///
/// let store = ChaosStore::seeded(MemoryStore::new(), 42, Odds::default());
/// let runtime = Runtime::builder(store.clone()).build()?;
/// # let _ = runtime;
/// # Ok::<(), idem_core::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct ChaosStore<S> {
    inner: Arc<S>,
    plan: Plan,
}

impl<S> Clone for ChaosStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            plan: self.plan.clone(),
        }
    }
}

impl<S: Store> ChaosStore<S> {
    /// A store that behaves until its [`plan`](Self::plan) says otherwise.
    pub fn new(inner: S) -> Self {
        Self {
            inner: Arc::new(inner),
            plan: Plan::default(),
        }
    }

    /// A store whose every command draws a fault from `seed`: the same
    /// commands in the same order meet the same faults.
    pub fn seeded(inner: S, seed: u64, odds: Odds) -> Self {
        let chaos = Self::new(inner);
        chaos.plan.seed(seed, odds);
        chaos
    }

    /// What goes wrong, and what was asked so far.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The store inside, to look at without faults.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// One command, with the fault that the plan has for it.
    async fn command<T, F>(
        &self,
        verb: Verb,
        slot: Option<Slot>,
        call: impl Fn(Arc<S>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let apply = || call(Arc::clone(&self.inner));
        let injected = |fault| Box::new(InjectedFault { verb, fault });
        match self.plan.fault(verb) {
            None => apply().await,
            Some(Fault::DelayBefore(delay)) => {
                tokio::time::sleep(delay).await;
                apply().await
            }
            Some(Fault::DelayAfter(delay)) => {
                let answer = apply().await;
                tokio::time::sleep(delay).await;
                answer
            }
            Some(fault @ Fault::FailBefore) => Err(StoreError::Unreachable(injected(fault))),
            Some(fault @ Fault::LoseCommand) => Err(StoreError::Interrupted(injected(fault))),
            Some(fault @ Fault::FailAfter) => {
                // What the store says is what gets lost.
                let _ = apply().await;
                Err(StoreError::Interrupted(injected(fault)))
            }
            Some(Fault::HangBefore) => std::future::pending().await,
            Some(Fault::HangAfter) => {
                let _ = apply().await;
                std::future::pending().await
            }
            Some(fault @ Fault::Late(delay)) => {
                let late = apply();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = late.await;
                });
                Err(StoreError::Interrupted(injected(fault)))
            }
            Some(Fault::Twice) => {
                let _ = apply().await;
                apply().await
            }
            Some(fault @ (Fault::Refuse | Fault::Corrupt)) => Err(match (fault, slot) {
                (Fault::Corrupt, Some(slot)) => StoreError::Corrupt {
                    slot,
                    cause: injected(fault),
                },
                _ => StoreError::Refused {
                    reason: injected(fault).to_string(),
                },
            }),
        }
    }
}

impl<S: Store> Store for ChaosStore<S> {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.command(Verb::Claim, Some(request.slot), move |store| async move {
            store.claim(request).await
        })
        .await
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        self.command(Verb::Renew, Some(grant.slot), move |store| async move {
            store.renew(grant, lease).await
        })
        .await
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        self.command(Verb::Checkpoint, Some(grant.slot), move |store| {
            let step = step.clone();
            async move { store.checkpoint(grant, step).await }
        })
        .await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        self.command(Verb::Complete, Some(grant.slot), move |store| {
            let record = record.clone();
            async move { store.complete(grant, record, retention).await }
        })
        .await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        self.command(Verb::Release, Some(grant.slot), move |store| async move {
            store.release(grant, ttl).await
        })
        .await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        self.command(Verb::Inspect, Some(slot), move |store| async move {
            store.inspect(slot).await
        })
        .await
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.command(Verb::List, None, move |store| {
            let query = query.clone();
            async move { store.list(query).await }
        })
        .await
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        self.command(Verb::Resolve, Some(slot), move |store| {
            let resolution = resolution.clone();
            async move { store.resolve(slot, fence, operator, resolution).await }
        })
        .await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.command(
            Verb::Health,
            None,
            |store| async move { store.health().await },
        )
        .await
    }

    fn refuses_alias(&self) -> Option<&'static str> {
        self.inner.refuses_alias()
    }

    fn meters(&self) -> bool {
        self.inner.meters()
    }

    async fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Result<Spent, StoreError> {
        self.command(Verb::Spend, None, move |store| async move {
            store.spend(tag, bytes, window).await
        })
        .await
    }
}
