//! One protected execution whose effect and record commit together.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep};
use tracing::Span;

use super::{
    Inner, Runtime,
    admit::{Admission, admit},
    commands::Failed,
    limits::{Seat, bytes_of},
    names::Named,
    rescue::Engaged,
    run::recorded_by_another,
    waiters::Owning,
};
use crate::{
    Begun, Call, Claim, ClaimRequest, Claimed, Completed, Concluded, Ending, Execution, Finish,
    Grant, OwnerId, Slot, StoreError, Stored, TransactionHandle, Transactions, Writes,
    backoff::Backoff, clock::after, lend, telemetry, transaction::AnyTransaction,
};
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What work in a transaction says of its own answer.
#[derive(Debug, Clone)]
pub struct Worked<A> {
    /// What is kept of the answer.
    pub finish: Finish<A>,
    /// What becomes of the writes, where the answer is recorded.
    pub writes: Writes,
    /// The database has said that the transaction must give way to another, so
    /// nothing of it can be kept: it may run again.
    pub conflict: bool,
}

/// The work, of one answer type whatever its transaction is. The second part
/// has the transaction back once the future is gone.
type Work<A> = Box<dyn FnMut(AnyTransaction) -> Option<(Running<A>, GiveBack)> + Send>;
type Running<A> = BoxFuture<'static, Worked<A>>;
pub(super) type GiveBack = Box<dyn FnOnce() -> Option<AnyTransaction> + Send>;

impl Runtime {
    /// Runs `work` once for the call's slot, in a transaction of the store's
    /// database in which the record commits too: *exactly once*, for effects in
    /// that database. `H` is how the work has the transaction; if it has kept it
    /// somewhere, nothing is committed.
    ///
    /// [`OnStoreError`](crate::OnStoreError) and [`OnCrash`](crate::OnCrash) have
    /// no part in it: without the database there is nothing to run in, and a crash
    /// leaves nothing behind.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    ///
    /// # Panics
    /// When polled outside a tokio runtime with its time driver enabled.
    pub fn execute_in<H, A, F, W>(
        &self,
        call: Call,
        work: F,
    ) -> impl Future<Output = Execution<A>> + Send + use<H, A, F, W>
    where
        H: TransactionHandle,
        A: Send + 'static,
        F: FnOnce(H) -> W + Send + 'static,
        W: Future<Output = Worked<A>> + Send + 'static,
    {
        let mut work = Some(work);
        let work: Work<A> = Box::new(move |transaction| {
            let (handle, give_back) = handle_to::<H>(transaction)?;
            let running: Running<A> = Box::pin(work.take()?(handle));
            Some((running, give_back))
        });
        self.execute_transacting(call, 0, work)
    }

    /// [`execute_in`](Self::execute_in) that runs `work` again, `retries` times at
    /// the most, where the database chose its transaction to give way to another:
    /// nothing was committed.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    ///
    /// # Panics
    /// As [`execute`](Self::execute).
    pub fn execute_in_retrying<H, A, F, W>(
        &self,
        call: Call,
        retries: u32,
        mut work: F,
    ) -> impl Future<Output = Execution<A>> + Send + use<H, A, F, W>
    where
        H: TransactionHandle,
        A: Send + 'static,
        F: FnMut(H) -> W + Send + 'static,
        W: Future<Output = Worked<A>> + Send + 'static,
    {
        let work: Work<A> = Box::new(move |transaction| {
            let (handle, give_back) = handle_to::<H>(transaction)?;
            let running: Running<A> = Box::pin(work(handle));
            Some((running, give_back))
        });
        self.execute_transacting(call, retries, work)
    }

    fn execute_transacting<A: Send + 'static>(
        &self,
        call: Call,
        retries: u32,
        work: Work<A>,
    ) -> impl Future<Output = Execution<A>> + Send + use<A> {
        self.guarded(call, move |inner, call, engaged, span| {
            protect(inner, call, retries, work, engaged, span)
        })
    }
}

/// What the work has of the transaction, and how to have it back. `None`: it is
/// another database's.
pub(super) fn handle_to<H: TransactionHandle>(
    transaction: AnyTransaction,
) -> Option<(H, GiveBack)> {
    let transaction = transaction.downcast::<H::Transaction>().ok()?;
    let (lent, loan) = lend(*transaction);
    let give_back = move || Some(Box::new(loan.recover()?) as AnyTransaction);
    Some((H::new(lent), Box::new(give_back)))
}

async fn protect<A>(
    inner: Arc<Inner>,
    call: Named,
    retries: u32,
    work: Work<A>,
    engaged: Engaged,
    span: Span,
) -> Execution<A> {
    let Some(transactions) = &inner.transactions else {
        return Execution::StoreFailed(StoreError::Refused {
            reason: "it has no transactions".to_owned(),
        });
    };
    let mut transacting = Transacting {
        inner: &inner,
        transactions,
        call,
        span: &span,
    };
    transacting.run(retries, work, &engaged).await
}

struct Transacting<'a> {
    inner: &'a Arc<Inner>,
    transactions: &'a Transactions,
    call: Named,
    span: &'a Span,
}

/// A claim that was won, in its open transaction.
struct Won {
    transaction: AnyTransaction,
    claimed: Claimed,
    owner: OwnerId,
    /// Wakes this process's waiters when it is dropped.
    _turn: Turn,
}

/// One run of the work, and what it led to.
enum Round<A> {
    Over(Execution<A>),
    /// Nothing was committed, because of another transaction.
    GaveWay(Execution<A>),
}

impl Transacting<'_> {
    async fn run<A>(&mut self, retries: u32, mut work: Work<A>, engaged: &Engaged) -> Execution<A> {
        let mut left = retries;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let won = match self.admit(engaged).await {
                Admission::Won(won) => won,
                Admission::Lost(rivals) => return rivals.answer(self.inner, &self.call),
                Admission::Limited(met) => return met.into(),
                Admission::StoreFailed(failed) => {
                    let error = failed.error;
                    tracing::warn!(operation = %self.call.operation, %error, "refused: no transaction could be had");
                    return Execution::StoreFailed(error);
                }
            };
            match self.round(won, &mut work).await {
                Round::Over(execution) => return execution,
                Round::GaveWay(execution) if left == 0 => return execution,
                Round::GaveWay(_) => {
                    left -= 1;
                    tracing::debug!(operation = %self.call.operation, left, "gave way to another transaction, running again");
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn admit(&mut self, engaged: &Engaged) -> Admission<Won> {
        let (inner, transactions) = (self.inner, self.transactions);
        let request = self.request(OwnerId::random());
        let is_looked_for = self.call.is_looked_for();
        let claim = |seat| async move {
            let begun = inner.commands.begin(transactions, request).await?;
            Ok(match begun {
                Begun::Not(claim) => Err(claim),
                Begun::Claimed(transaction, claimed) => {
                    let under = claimed.under;
                    let won = Won {
                        transaction,
                        claimed,
                        owner: request.owner,
                        _turn: Turn::take(inner, request.slot, is_looked_for, seat),
                    };
                    Ok((won, under))
                }
            })
        };
        let admission = admit(inner, &mut self.call, engaged, claim).await;
        telemetry::answered(self.span, &self.call);
        admission
    }

    fn request(&self, owner: OwnerId) -> ClaimRequest {
        self.call.claim_request(owner)
    }

    async fn begin(&self, request: ClaimRequest) -> Result<Begun<AnyTransaction>, Failed> {
        self.inner.commands.begin(self.transactions, request).await
    }

    async fn round<A>(&mut self, won: Won, work: &mut Work<A>) -> Round<A> {
        let Won {
            transaction,
            claimed,
            owner,
            _turn,
        } = won;
        let Claimed { fence, attempt, .. } = claimed;
        let steps = bytes_of(&claimed.checkpoints);
        telemetry::claimed(self.span, &self.call, attempt, claimed.taken_over);
        let grant = Grant {
            slot: self.call.slot,
            owner,
            fence,
        };
        let release = Ending::Release {
            grant,
            ttl: self.call.settings.retention.ttl,
        };
        // Of a version of the work that had steps, and perhaps has them again.
        let sealer = self.inner.sealer(&self.call);
        if let Err(error) = sealer.open_steps(&self.call, claimed.checkpoints) {
            let _ = self.conclude(transaction, Ending::Abandon).await;
            return Round::Over(Execution::StoreFailed(error));
        }
        let Some((running, give_back)) = work(transaction) else {
            return Round::Over(not_committed("it is another database's transaction"));
        };
        let worked = AssertUnwindSafe(running).catch_unwind().await;
        let Some(transaction) = give_back() else {
            // It cannot be committed any more, and is rolled back when it is dropped.
            let kept = "the work has kept its transaction: give it to nothing that outlives it";
            tracing::error!(operation = %self.call.operation, kept);
            return Round::Over(not_committed(kept));
        };
        let Ok(worked) = worked else {
            // The panic hook has reported it.
            let ended = self.conclude(transaction, release).await;
            if matches!(ended, Ok(Concluded::Done)) {
                self.count(steps).await;
            }
            return Round::Over(match ended {
                Ok(Concluded::Escaped) => Execution::OutcomeUnknown,
                _ => Execution::Panicked,
            });
        };
        if worked.conflict {
            let conflict = StoreError::Conflict("a statement of the work failed with it".into());
            // Its failure leaves as little behind: nothing.
            let _ = self.conclude(transaction, Ending::Abandon).await;
            return Round::GaveWay(Execution::NotCommitted(conflict));
        }
        match worked.finish {
            Finish::Release { answer } => {
                let ended = self.conclude(transaction, release).await;
                if matches!(ended, Ok(Concluded::Done)) {
                    self.count(steps).await;
                }
                Round::Over(match ended {
                    Ok(Concluded::Escaped) => Execution::OutcomeUnknown,
                    // However it ended, nothing is kept of this answer.
                    _ => Execution::Ran {
                        answer,
                        attempt,
                        stored: Stored::Released,
                    },
                })
            }
            Finish::Record { answer, record } => {
                let sealed = match sealer.record(record.clone()) {
                    Ok(sealed) => sealed,
                    Err(error) => {
                        tracing::error!(operation = %self.call.operation, %error, "rolled back");
                        let _ = self.conclude(transaction, release).await;
                        return Round::Over(Execution::NotCommitted(error));
                    }
                };
                let complete = Ending::Complete {
                    grant,
                    record: sealed,
                    retention: self.call.settings.retention,
                    writes: worked.writes,
                };
                let recorded = Execution::Ran {
                    answer,
                    attempt,
                    stored: Stored::Recorded,
                };
                match self.conclude(transaction, complete).await {
                    Ok(Concluded::Done) => {
                        self.count(record.len() as u64).await;
                        Round::Over(recorded)
                    }
                    Ok(Concluded::Escaped) => Round::Over(Execution::OutcomeUnknown),
                    Ok(Concluded::Fenced) => Round::Over(self.fenced().await),
                    Err(error @ StoreError::Conflict(_)) => {
                        Round::GaveWay(Execution::NotCommitted(error))
                    }
                    Err(error) if error.is_ambiguous() => {
                        Round::Over(self.settle(owner, &record, recorded, error).await)
                    }
                    Err(error) => {
                        tracing::error!(operation = %self.call.operation, %error, "rolled back");
                        Round::Over(Execution::NotCommitted(error))
                    }
                }
            }
        }
    }

    async fn conclude(
        &self,
        transaction: AnyTransaction,
        ending: Ending,
    ) -> Result<Concluded, StoreError> {
        conclude(
            self.inner,
            self.transactions,
            &self.call,
            transaction,
            ending,
        )
        .await
    }

    /// So much of the slot is committed: its scope's meter is told, beside the transaction.
    async fn count(&self, kept: u64) {
        let (scope, retention) = (self.call.scope, self.call.settings.retention);
        self.inner.count(scope, kept, retention).await;
    }

    /// Everything is rolled back, so whoever has the slot now has the answer.
    async fn fenced<A>(&self) -> Execution<A> {
        telemetry::fenced(&self.call);
        match recorded_by_another(self.inner, &self.call).await {
            Some(execution) => execution,
            None => not_committed("another execution has claimed the slot"),
        }
    }

    /// The reply to a commit is lost. Whether it has committed is in the
    /// database: the record is there, or the slot can be claimed again.
    async fn settle<A>(
        &mut self,
        owner: OwnerId,
        record: &Bytes,
        recorded: Execution<A>,
        error: StoreError,
    ) -> Execution<A> {
        tracing::warn!(operation = %self.call.operation, %error, "the reply to a commit is lost, reading the record");
        let request = self.request(owner);
        let give_up = after(Instant::now(), self.inner.commands.patience());
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match self.begin(request).await {
                Ok(Begun::Claimed(transaction, _)) => {
                    let _ = self.conclude(transaction, Ending::Abandon).await;
                    tracing::warn!(operation = %self.call.operation, "it was rolled back");
                    return Execution::NotCommitted(error);
                }
                Ok(Begun::Not(Claim::Completed(completed))) => {
                    self.call.stands_under(completed.under);
                    let sealer = self.inner.sealer(&self.call);
                    if sealer.is(&completed.record, record) {
                        return recorded;
                    }
                    return sealer.replay(&self.call, completed.record, completed.expired);
                }
                Ok(Begun::Not(Claim::Mismatch)) => return Execution::KeyReused,
                Ok(Begun::Not(Claim::Unknown)) => return Execution::OutcomeUnknown,
                // The commit may still be under way.
                Ok(Begun::Not(Claim::InFlight { .. } | Claim::Claimed(_))) | Err(_) => {}
            }
            let next = after(Instant::now(), backoff.pause());
            if next >= give_up {
                return Execution::NotCommitted(error);
            }
            sleep(next.saturating_duration_since(Instant::now())).await;
        }
    }
}

pub(super) async fn conclude(
    inner: &Inner,
    transactions: &Transactions,
    call: &Named,
    transaction: AnyTransaction,
    ending: Ending,
) -> Result<Concluded, StoreError> {
    let since = inner.asking();
    let completed = match &ending {
        Ending::Complete {
            record, retention, ..
        } if since.is_some() => Some(Completed {
            record: record.clone(),
            expired: false,
            remaining: retention.ttl,
            under: call.under(),
        }),
        _ => None,
    };
    let ended = inner
        .commands
        .conclude(transactions, transaction, ending)
        .await;
    if let (Ok(Concluded::Done), Some(completed)) = (&ended, completed) {
        inner.keep(call.own(), since, &completed);
    }
    if matches!(ended, Ok(Concluded::Escaped)) {
        tracing::error!(
            operation = %call.operation,
            slot = %call.slot.short(),
            "the work has ended its transaction itself, so nobody knows what became of its writes; \
             send no COMMIT or ROLLBACK, and drop no savepoint while it is being made. \
             The key is kept from running again until an operator resolves it"
        );
    }
    ended
}

pub(super) fn not_committed<A>(reason: &str) -> Execution<A> {
    Execution::NotCommitted(StoreError::Refused {
        reason: reason.to_owned(),
    })
}

/// That this process runs the slot now: those who wait for it here need not ask,
/// and are told when it ends.
struct Turn {
    inner: Arc<Inner>,
    slot: Slot,
    _seat: Option<Seat>,
    _owning: Option<Owning>,
}

impl Turn {
    fn take(inner: &Arc<Inner>, slot: Slot, is_looked_for: bool, seat: Option<Seat>) -> Self {
        Self {
            inner: Arc::clone(inner),
            slot,
            _seat: seat,
            _owning: is_looked_for.then(|| inner.waiters.own(slot)),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.inner.waiters.wake(&self.slot);
    }
}
