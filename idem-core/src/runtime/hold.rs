//! A slot that this process owns: its heartbeat, and the ways it can end.
//!
//! Only a won claim makes a [`Hold`], and ending it takes it, so nothing can be
//! recorded without a claim and nothing twice.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, instrument::WithSubscriber};

use super::{
    Inner,
    heartbeat::Heartbeat,
    lease::Held,
    limits::{Seat, with_aside},
    names::Named,
    run::instead,
    seal::Sealer,
    waiters::Owning,
};
use crate::{
    Alias, Completed, Execution, Grant, Retention, ScopeTag, StoreError, Under, Written,
    backoff::Backoff, clock::after,
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short, because a lease that lapsed while the store was away may be taken over
/// as soon as it is back: whoever comes first counts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An execution that owns its slot. Dropped without an end, it falls silent and
/// its lease lapses.
pub(super) struct Hold {
    inner: Arc<Inner>,
    sealer: Sealer,
    grant: Grant,
    /// By which this process knows it.
    own: Alias,
    under: Under,
    retention: Retention,
    heartbeat: Heartbeat,
    scope: Option<ScopeTag>,
    /// What attempts before this one have left of steps, in bytes.
    steps_before: u64,
    held: Option<Arc<Held>>,
    _seat: Option<Seat>,
    _owning: Option<Owning>,
}

/// How the outcome of an execution was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is in the store.
    Stored,
    /// The store does not answer; it is being tried in the background.
    Pending,
    /// Another owner has taken over.
    Fenced,
}

impl Hold {
    pub(super) fn new(
        inner: &Arc<Inner>,
        call: &Named,
        grant: Grant,
        claimed_at: Instant,
        held: Option<Arc<Held>>,
        steps_before: u64,
        seat: Option<Seat>,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            sealer: inner.sealer(call),
            grant,
            own: call.own(),
            under: call.under(),
            retention: call.settings.retention,
            heartbeat: inner.heartbeats.start(
                grant,
                call.settings.lease,
                claimed_at,
                call.operation.clone(),
                held.clone(),
            ),
            scope: call.scope,
            steps_before,
            held,
            _seat: seat,
            _owning: call
                .is_looked_for()
                .then(|| inner.waiters.own(call.own_slot())),
        }
    }

    pub(super) const fn grant(&self) -> Grant {
        self.grant
    }

    /// The outcome is stored by other means: no renewal is needed any more.
    pub(super) fn conclude(&self) {
        self.heartbeat.conclude();
    }

    /// Records the answer.
    pub(super) fn complete(self, record: Bytes) -> impl Future<Output = Ended> + Send {
        self.end(Ending::Complete(record))
    }

    /// Gives the slot back for a retry.
    pub(super) fn release(self) -> impl Future<Output = Ended> + Send {
        self.end(Ending::Release)
    }

    /// Gives the slot back after an execution of which nothing is kept. If another
    /// has taken over, its client gets what that one has recorded.
    pub(super) async fn give_back<A>(
        self,
        inner: &Inner,
        call: &Named,
        execution: Execution<A>,
    ) -> Execution<A> {
        match self.release().await {
            Ended::Fenced => Box::pin(instead(inner, call, execution)).await,
            // Pending, too, nothing is kept of it.
            Ended::Stored | Ended::Pending => execution,
        }
    }

    /// It was stored by other means, with a record or released: its scope's meter is told.
    pub(super) async fn count(&self, record: Option<&Bytes>) {
        let kept = record.map_or_else(|| self.steps(), |record| record.len() as u64);
        self.inner.count(self.scope, kept, self.retention).await;
    }

    /// What a retry finds of steps, in bytes.
    fn steps(&self) -> u64 {
        let kept = self.held.as_ref().map_or(0, |held| held.steps());
        self.steps_before.saturating_add(kept)
    }

    #[allow(
        clippy::manual_async_fn,
        reason = "an `async fn` holds its arguments twice"
    )]
    fn end(self, ending: Ending) -> impl Future<Output = Ended> + Send {
        async move {
            self.heartbeat.conclude();
            let kept = match &ending {
                Ending::Complete(record) => record.len() as u64,
                Ending::Release => self.steps(),
            };
            let aside = self.inner.spend(self.scope, kept, self.retention);
            let since = self.inner.asking();
            let stored = self.store(&ending, since);
            let stored = match aside {
                None => stored.await,
                Some(aside) => Box::pin(with_aside(stored, aside)).await,
            };
            match stored {
                Ok(Written::Done) => Ended::Stored,
                Ok(Written::Fenced) => Ended::Fenced,
                Err(error) => {
                    tracing::error!(
                        slot = %self.grant.slot.short(),
                        %error,
                        "the outcome could not be stored, trying on in the background"
                    );
                    let token = self.inner.tracker.token();
                    let rest = async move {
                        self.keep_storing(ending, since).await;
                        drop(token);
                    };
                    tokio::spawn(rest.in_current_span().with_current_subscriber());
                    Ended::Pending
                }
            }
        }
    }

    /// One that is answered may have been applied by an earlier try, `since` then.
    async fn store(&self, ending: &Ending, since: Option<Instant>) -> Result<Written, StoreError> {
        let commands = &self.inner.commands;
        let written = match ending {
            Ending::Complete(record) => {
                let record = self.sealer.record(record.clone())?;
                let kept = since.is_some().then(|| record.clone());
                let complete = commands.complete(self.grant, record, self.retention);
                let written = complete.await;
                if let (Ok(Written::Done), Some(record)) = (&written, kept) {
                    let completed = Completed {
                        record,
                        expired: false,
                        remaining: self.retention.ttl,
                        under: self.under,
                    };
                    self.inner.keep(self.own, since, &completed);
                }
                written
            }
            Ending::Release => commands.release(self.grant, self.retention.ttl).await,
        };
        written.map_err(|failed| failed.error)
    }

    /// The heartbeat goes on meanwhile, so that nobody takes over from a
    /// finished execution. After a ttl no retry could profit any more.
    async fn keep_storing(self, ending: Ending, since: Option<Instant>) {
        let give_up = after(Instant::now(), self.retention.ttl);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while Instant::now() < give_up {
            sleep(backoff.pause()).await;
            match self.store(&ending, since).await {
                Ok(Written::Done) => {
                    tracing::info!(slot = %self.grant.slot.short(), "the outcome is stored at last");
                    return;
                }
                Ok(Written::Fenced) => {
                    tracing::error!(
                        slot = %self.grant.slot.short(),
                        "the outcome was not stored: another execution has taken over"
                    );
                    return;
                }
                Err(error) => tracing::debug!(%error, "the outcome is still not stored"),
            }
        }
        tracing::error!(
            slot = %self.grant.slot.short(),
            "the outcome was not stored within its ttl, giving up"
        );
    }
}

enum Ending {
    Complete(Bytes),
    Release,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.inner.waiters.wake(&self.own.slot);
    }
}
