//! The store's verbs under our own deadline: an answer that is lost is asked
//! for again, with the same owner, until the deadline.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::erased::ErasedStore;
use crate::{
    Begun, Checkpoint, Claim, ClaimRequest, Concluded, Ending, Fence, Grant, ListQuery, OwnerId,
    Page, Renewal, Resolution, Resolved, Retention, ScopeTag, Slot, SlotView, Spent, StoreError,
    Transactions, Written,
    backoff::Backoff,
    clock::after,
    telemetry::{self, Verb},
    transaction::AnyTransaction,
};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How long the runtime waits for its store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// One verb, all its tries together.
    pub(crate) verb: Duration,
    /// One try.
    pub(crate) attempt: Duration,
    /// Recording an answer before its client gets it all the same.
    pub(crate) complete: Duration,
}

#[derive(Clone)]
pub(crate) struct Commands {
    store: Arc<dyn ErasedStore>,
    deadlines: Deadlines,
}

/// A verb that had no answer in time.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: StoreError,
    /// Whether one of its tries may have been applied.
    pub(crate) maybe_applied: bool,
}

impl Commands {
    pub(crate) fn new(store: Arc<dyn ErasedStore>, deadlines: Deadlines) -> Self {
        Self { store, deadlines }
    }

    pub(crate) fn claim<'a>(
        &'a self,
        request: &'a ClaimRequest,
    ) -> impl Future<Output = Result<Claim, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist(Verb::Claim, deadline, move || self.store.claim(*request))
    }

    /// One try: heartbeats come again by themselves. It may take a sixth of the
    /// shortest lease: a starved process that gives up earlier only asks once more.
    pub(crate) async fn renew_many(
        &self,
        renewals: &[Renewal],
    ) -> Result<Vec<Option<Written>>, StoreError> {
        let shortest = renewals.iter().map(|renewal| renewal.lease).min();
        let limit = self.deadlines.attempt.max(shortest.unwrap_or_default() / 6);
        self.attempt(Verb::Renew, limit, || self.store.renew_many(renewals))
            .await
    }

    /// A renewal whose answer somebody waits for.
    pub(crate) fn renew(
        &self,
        grant: Grant,
        lease: Duration,
    ) -> impl Future<Output = Result<Written, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist(Verb::Renew, deadline, move || {
            self.store.renew(grant, lease)
        })
    }

    pub(crate) fn checkpoint(
        &self,
        grant: Grant,
        step: Checkpoint,
    ) -> impl Future<Output = Result<Written, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist(Verb::Checkpoint, deadline, move || {
            self.store.checkpoint(grant, step.clone())
        })
    }

    pub(crate) fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> impl Future<Output = Result<Written, Failed>> {
        let deadline = self.deadlines.complete;
        self.insist(Verb::Complete, deadline, move || {
            self.store.complete(grant, record.clone(), retention)
        })
    }

    pub(crate) fn release(
        &self,
        grant: Grant,
        ttl: Duration,
    ) -> impl Future<Output = Result<Written, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist(Verb::Release, deadline, move || {
            self.store.release(grant, ttl)
        })
    }

    /// A try may take as long as all of them together: it waits in a queue for a
    /// connection, and would lose its place.
    pub(crate) fn begin<'a>(
        &'a self,
        transactions: &'a Transactions,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Begun<AnyTransaction>, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist_with(Verb::Begin, deadline, deadline, move || {
            Box::pin(transactions.begin(request))
        })
    }

    /// As [`begin`](Self::begin).
    pub(crate) fn open<'a>(
        &'a self,
        transactions: &'a Transactions,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<AnyTransaction, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist_with(Verb::Begin, deadline, deadline, move || {
            Box::pin(transactions.open(request))
        })
    }

    /// One try: a transaction ends once.
    pub(crate) async fn conclude(
        &self,
        transactions: &Transactions,
        transaction: AnyTransaction,
        ending: Ending,
    ) -> Result<Concluded, StoreError> {
        self.attempt(Verb::Conclude, self.deadlines.complete, || {
            Box::pin(transactions.conclude(transaction, ending))
        })
        .await
    }

    pub(crate) fn inspect(
        &self,
        slot: Slot,
    ) -> impl Future<Output = Result<Option<SlotView>, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist(Verb::Inspect, deadline, move || self.store.inspect(slot))
    }

    pub(crate) fn list(&self, query: ListQuery) -> impl Future<Output = Result<Page, Failed>> {
        // A page is more than a verb: a store may have to look at many slots for it.
        let deadline = self.deadlines.verb;
        self.insist_with(Verb::List, deadline, deadline, move || {
            self.store.list(query.clone())
        })
    }

    pub(crate) fn resolve<'a>(
        &'a self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: &'a Resolution,
    ) -> impl Future<Output = Result<Resolved, Failed>> {
        let deadline = self.deadlines.verb;
        self.insist(Verb::Resolve, deadline, move || {
            self.store
                .resolve(slot, fence, operator, resolution.clone())
        })
    }

    pub(crate) async fn health(&self) -> Result<(), StoreError> {
        self.attempt(Verb::Health, self.deadlines.verb, || self.store.health())
            .await
    }

    pub(crate) fn meters(&self) -> bool {
        self.store.meters()
    }

    /// One try, which nobody waits for: sent twice it would count twice.
    pub(crate) async fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Result<Spent, StoreError> {
        self.attempt(Verb::Spend, self.deadlines.verb, || {
            self.store.spend(tag, bytes, window)
        })
        .await
    }

    /// How long an answer may be held back until it is recorded.
    pub(crate) const fn patience(&self) -> Duration {
        self.deadlines.complete
    }

    /// Tries until there is an answer, an error that would come again, or the deadline.
    fn insist<'a, T>(
        &'a self,
        verb: Verb,
        deadline: Duration,
        call: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, Failed>> {
        self.insist_with(verb, deadline, self.deadlines.attempt, call)
    }

    async fn insist_with<'a, T>(
        &'a self,
        verb: Verb,
        deadline: Duration,
        attempt: Duration,
        call: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, Failed> {
        let mut now = Instant::now();
        let give_up = after(now, deadline);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut maybe_applied = false;
        loop {
            let left = give_up.saturating_duration_since(now);
            let answer = self.attempt_at(now, verb, left.min(attempt), &call);
            let error = match answer.await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            maybe_applied |= error.is_ambiguous();
            let next = after(Instant::now(), backoff.pause());
            if !error.is_transient() || next >= give_up {
                return Err(Failed {
                    error,
                    maybe_applied,
                });
            }
            tracing::debug!(verb = verb.name(), %error, "the store did not answer, asking again");
            sleep_until(next).await;
            now = Instant::now();
        }
    }

    async fn attempt<'a, T>(
        &'a self,
        verb: Verb,
        limit: Duration,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.attempt_at(Instant::now(), verb, limit, call).await
    }

    /// One try that begins `now`. A store that answers at once, as one in this process
    /// does, needs no timer.
    async fn attempt_at<'a, T>(
        &'a self,
        now: Instant,
        verb: Verb,
        limit: Duration,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut answer = call();
        let at_once = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        let answer = match at_once {
            Poll::Ready(answer) => answer,
            Poll::Pending => match timeout_at(after(now, limit), answer).await {
                Ok(answer) => answer,
                Err(_) => Err(StoreError::TimedOut(limit)),
            },
        };
        telemetry::store_answered(verb, now, answer.is_ok());
        answer
    }
}
