//! A store that is asked until it answers: what the runtime does for the verbs it uses.

use std::{fmt, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::Verb;
use crate::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Resolution, Resolved,
    Retention, ScopeTag, Slot, SlotView, Spent, Store, StoreError, Written,
};

const PAUSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again while the error may pass, for half a minute at the most.
///
/// # Errors
/// The first that will not pass, or the last.
pub async fn insist<T, F>(ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let give_up = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(error) if error.is_transient() && Instant::now() < give_up => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// A store whose every verb is asked for until it has an answer, to try the
/// [conformance suite](super::conformance) on a store behind a network that
/// loses what it is given (invariant I8): `before` each verb, break something.
///
/// ```
/// use idem_core::{MemoryStore, testing::{ChaosStore, Fault, Insisting}};
///
/// let chaos = ChaosStore::new(MemoryStore::new());
/// let network = chaos.clone();
/// // The reply to every verb is lost once.
/// let store = Insisting::new(chaos, move |verb| network.plan().next(verb, Fault::FailAfter));
/// # let _ = store;
/// ```
pub struct Insisting<S, B> {
    store: S,
    before: B,
}

impl<S: Store, B: Fn(Verb) + Send + Sync + 'static> Insisting<S, B> {
    /// A store that insists, and calls `before` ahead of each verb.
    pub const fn new(store: S, before: B) -> Self {
        Self { store, before }
    }

    fn about_to(&self, verb: Verb) -> &S {
        (self.before)(verb);
        &self.store
    }
}

impl<S: fmt::Debug, B> fmt::Debug for Insisting<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Insisting")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl<S: Store, B: Fn(Verb) + Send + Sync + 'static> Store for Insisting<S, B> {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let store = self.about_to(Verb::Claim);
        insist(|| store.claim(request)).await
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        let store = self.about_to(Verb::Renew);
        insist(|| store.renew(grant, lease)).await
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        let store = self.about_to(Verb::Checkpoint);
        insist(|| store.checkpoint(grant, step.clone())).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        let store = self.about_to(Verb::Complete);
        insist(|| store.complete(grant, record.clone(), retention)).await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        let store = self.about_to(Verb::Release);
        insist(|| store.release(grant, ttl)).await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let store = self.about_to(Verb::Inspect);
        insist(|| store.inspect(slot)).await
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        let store = self.about_to(Verb::List);
        insist(|| store.list(query.clone())).await
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let store = self.about_to(Verb::Resolve);
        insist(|| store.resolve(slot, fence, operator, resolution.clone())).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        let store = self.about_to(Verb::Health);
        insist(|| store.health()).await
    }

    fn refuses_alias(&self) -> Option<&'static str> {
        self.store.refuses_alias()
    }

    fn meters(&self) -> bool {
        self.store.meters()
    }

    /// Asked once: another try would count twice.
    async fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Result<Spent, StoreError> {
        self.store.spend(tag, bytes, window).await
    }
}
