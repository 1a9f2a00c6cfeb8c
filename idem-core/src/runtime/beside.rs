//! One protected execution with recovery points whose own writes are in a
//! transaction: the claim and its steps are committed beside it, and the record
//! with it.
//!
//! ```text
//! claim                              committed; its lease is renewed
//!     BEGIN
//!         the work's own writes
//!         a step: its result         committed beside the transaction
//!         the work's own writes
//!     record, COMMIT                 together, if the claim is still the newest
//! ```
//!
//! Whatever dies before the commit: the writes are gone, and the steps are not, so
//! the next attempt makes the writes again and gets the steps' results.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::sleep;
use tracing::Span;

use super::{
    Inner, Runtime,
    admit::Admission,
    hold::Hold,
    names::Named,
    rescue::Engaged,
    run::{Won, instead, recorded_by_another},
    steps::Steps,
    transact::{GiveBack, Worked, conclude, handle_to, not_committed},
};
use crate::{
    Call, ClaimRequest, Claimed, Concluded, Ending, Execution, Finish, OwnerId, SlotState,
    StoreError, Stored, TransactionHandle, Transactions, Written, backoff::Backoff, telemetry,
    transaction::AnyTransaction,
};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The work, of one answer type whatever its transaction is. The second part
/// has the transaction back once the future is gone.
type Work<A> = Box<dyn FnMut(AnyTransaction, Steps) -> Option<(Running<A>, GiveBack)> + Send>;
type Running<A> = BoxFuture<'static, Worked<A>>;

impl Runtime {
    /// Runs `work` once for the call's slot, with recovery points and in a
    /// transaction of the store's database.
    ///
    /// The work's own writes and the record commit together, *exactly once*; a
    /// finished step never runs again, whatever becomes of the writes. The
    /// transaction is open while the steps run, so what they wait for it waits for
    /// too. Unlike that of [`execute_in`](Self::execute_in), the claim has a lease.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    ///
    /// # Panics
    /// When polled outside a tokio runtime with its time driver enabled.
    pub fn execute_in_steps_and<H, A, F, W>(
        &self,
        call: Call,
        work: F,
    ) -> impl Future<Output = Execution<A>> + Send + use<H, A, F, W>
    where
        H: TransactionHandle,
        A: Send + 'static,
        F: FnOnce(H, Steps) -> W + Send + 'static,
        W: Future<Output = Worked<A>> + Send + 'static,
    {
        let mut work = Some(work);
        let work: Work<A> = Box::new(move |transaction, steps| {
            let (handle, give_back) = handle_to::<H>(transaction)?;
            let running: Running<A> = Box::pin(work.take()?(handle, steps));
            Some((running, give_back))
        });
        self.execute_beside(call, 0, work)
    }

    /// [`execute_in_steps_and`](Self::execute_in_steps_and) that runs `work` again,
    /// `retries` times at the most, where the database chose its transaction to
    /// give way to another. The steps that are finished stay so.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    ///
    /// # Panics
    /// As [`execute`](Self::execute).
    pub fn execute_in_steps_and_retrying<H, A, F, W>(
        &self,
        call: Call,
        retries: u32,
        mut work: F,
    ) -> impl Future<Output = Execution<A>> + Send + use<H, A, F, W>
    where
        H: TransactionHandle,
        A: Send + 'static,
        F: FnMut(H, Steps) -> W + Send + 'static,
        W: Future<Output = Worked<A>> + Send + 'static,
    {
        let work: Work<A> = Box::new(move |transaction, steps| {
            let (handle, give_back) = handle_to::<H>(transaction)?;
            let running: Running<A> = Box::pin(work(handle, steps));
            Some((running, give_back))
        });
        self.execute_beside(call, retries, work)
    }

    fn execute_beside<A: Send + 'static>(
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

async fn protect<A>(
    inner: Arc<Inner>,
    mut call: Named,
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
    let request = call.claim_request(OwnerId::random());
    let admission = Won::claim(&inner, &mut call, &engaged, &request, true).await;
    telemetry::answered(&span, &call);
    let won = match admission {
        Admission::Won(won) => won,
        Admission::Lost(rivals) => return rivals.answer(&inner, &call),
        Admission::Limited(met) => return met.into(),
        Admission::StoreFailed(failed) => {
            let error = failed.error;
            tracing::warn!(operation = %call.operation, %error, "refused: the store did not take the claim");
            return Execution::StoreFailed(error);
        }
    };
    let beside = Beside {
        inner: &inner,
        transactions,
        call: &call,
        request,
    };
    beside.run_claimed(retries, work, won, &span).await
}

struct Beside<'a> {
    inner: &'a Arc<Inner>,
    transactions: &'a Transactions,
    call: &'a Named,
    request: ClaimRequest,
}

/// One run of the work, and what it led to.
enum Round<A> {
    Over(Execution<A>),
    /// Nothing is kept of it: the slot is to be given back.
    Release(Execution<A>),
    /// Nothing was committed, because of another transaction.
    GaveWay(StoreError),
}

impl Beside<'_> {
    async fn run_claimed<A>(
        &self,
        retries: u32,
        work: Work<A>,
        won: Won,
        span: &Span,
    ) -> Execution<A> {
        let Won {
            hold,
            held,
            claimed,
        } = won;
        let Claimed {
            attempt,
            taken_over,
            checkpoints,
            ..
        } = claimed;
        telemetry::claimed(span, self.call, attempt, taken_over);
        let sealer = self.inner.sealer(self.call);
        let finished = match sealer.open_steps(self.call, checkpoints) {
            Ok(finished) => finished,
            Err(error) => {
                let unopened = Execution::StoreFailed(error);
                return hold.give_back(self.inner, self.call, unopened).await;
            }
        };
        let steps = match held {
            Some(held) => Steps::of(held, self.call, &self.inner.commands, &sealer, finished),
            // It is asked for above.
            None => Steps::unprotected(),
        };
        self.run(retries, work, hold, &steps).await
    }

    async fn run<A>(
        &self,
        retries: u32,
        mut work: Work<A>,
        hold: Hold,
        steps: &Steps,
    ) -> Execution<A> {
        let mut left = retries;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let execution = loop {
            match self.round(&mut work, &hold, steps).await {
                // The store has ended the slot, or knows that somebody else has.
                Round::Over(execution) => return execution,
                // A run before this one may have had steps.
                Round::Release(Execution::StoreFailed(error)) if left < retries => {
                    break Execution::NotCommitted(error);
                }
                Round::Release(execution) => break execution,
                Round::GaveWay(error) if left == 0 => break Execution::NotCommitted(error),
                // What this run has left behind may go on beside the next: they are one claim.
                Round::GaveWay(_) => {
                    left -= 1;
                    tracing::debug!(operation = %self.call.operation, left, "gave way to another transaction, running again");
                    sleep(backoff.pause()).await;
                    steps.begin_again();
                }
            }
        };
        hold.give_back(self.inner, self.call, execution).await
    }

    async fn round<A>(&self, work: &mut Work<A>, hold: &Hold, steps: &Steps) -> Round<A> {
        let opened = self.inner.commands.open(self.transactions, self.request);
        let transaction = match opened.await {
            Ok(transaction) => transaction,
            Err(failed) => {
                let error = failed.error;
                tracing::warn!(operation = %self.call.operation, %error, "refused: no transaction could be had");
                return Round::Release(Execution::StoreFailed(error));
            }
        };
        let Some((running, give_back)) = work(transaction, steps.clone()) else {
            return Round::Release(not_committed("it is another database's transaction"));
        };
        let worked = AssertUnwindSafe(running).catch_unwind().await;
        steps.end();
        let Some(transaction) = give_back() else {
            // It cannot be committed any more, and is rolled back when it is dropped.
            let kept = "the work has kept its transaction: give it to nothing that outlives it";
            tracing::error!(operation = %self.call.operation, kept);
            return Round::Release(not_committed(kept));
        };
        let Ok(worked) = worked else {
            // The panic hook has reported it.
            return self.undo(transaction, hold, Execution::Panicked).await;
        };
        if let Some(stop) = steps.stopped() {
            return self.undo(transaction, hold, Execution::Stopped(stop)).await;
        }
        if worked.conflict {
            // Its failure leaves as little behind: nothing.
            let _ = self.conclude(transaction, Ending::Abandon).await;
            return Round::GaveWay(StoreError::Conflict(
                "a statement of the work failed with it".into(),
            ));
        }
        let attempt = steps.attempt();
        match worked.finish {
            Finish::Release { answer } => {
                let released = Execution::Ran {
                    answer,
                    attempt,
                    stored: Stored::Released,
                };
                self.undo(transaction, hold, released).await
            }
            Finish::Record { answer, record } => {
                let sealed = match self.inner.sealer(self.call).record(record.clone()) {
                    Ok(sealed) => sealed,
                    Err(error) => {
                        tracing::error!(operation = %self.call.operation, %error, "rolled back");
                        let unsealed = Execution::NotCommitted(error);
                        return self.undo(transaction, hold, unsealed).await;
                    }
                };
                let complete = Ending::Complete {
                    grant: hold.grant(),
                    record: sealed,
                    retention: self.call.settings.retention,
                    writes: worked.writes,
                };
                hold.conclude();
                let recorded = Execution::Ran {
                    answer,
                    attempt,
                    stored: Stored::Recorded,
                };
                match self.conclude(transaction, complete).await {
                    Ok(Concluded::Done) => {
                        hold.count(Some(&record)).await;
                        Round::Over(recorded)
                    }
                    Ok(Concluded::Escaped) => Round::Over(Execution::OutcomeUnknown),
                    Ok(Concluded::Fenced) => Round::Over(self.fenced().await),
                    Err(error @ StoreError::Conflict(_)) => Round::GaveWay(error),
                    Err(error) if error.is_ambiguous() => {
                        self.settle(hold, &record, recorded, error).await
                    }
                    Err(error) => {
                        tracing::error!(operation = %self.call.operation, %error, "rolled back");
                        Round::Release(Execution::NotCommitted(error))
                    }
                }
            }
        }
    }

    /// Rolls the work's writes back and gives the slot back.
    async fn undo<A>(
        &self,
        transaction: AnyTransaction,
        hold: &Hold,
        execution: Execution<A>,
    ) -> Round<A> {
        let release = Ending::Release {
            grant: hold.grant(),
            ttl: self.call.settings.retention.ttl,
        };
        hold.conclude();
        match self.conclude(transaction, release).await {
            Ok(Concluded::Done) => {
                hold.count(None).await;
                Round::Over(execution)
            }
            Ok(Concluded::Escaped) => Round::Over(Execution::OutcomeUnknown),
            Ok(Concluded::Fenced) => Round::Over(instead(self.inner, self.call, execution).await),
            // The writes are gone with their transaction. The slot is left.
            Err(_) => Round::Release(execution),
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
            self.call,
            transaction,
            ending,
        )
        .await
    }

    /// The writes are rolled back, so whoever has the slot now has the answer.
    async fn fenced<A>(&self) -> Execution<A> {
        let none = not_committed("another execution has claimed the slot");
        instead(self.inner, self.call, none).await
    }

    /// The reply to a commit is lost. While it may still commit, the slot's row is
    /// its own; so a renewal is answered when it is over.
    async fn settle<A>(
        &self,
        hold: &Hold,
        record: &Bytes,
        recorded: Execution<A>,
        error: StoreError,
    ) -> Round<A> {
        tracing::warn!(operation = %self.call.operation, %error, "the reply to a commit is lost, asking for the slot");
        let (commands, lease) = (&self.inner.commands, self.call.settings.lease);
        match commands.renew(hold.grant(), lease).await {
            Ok(Written::Done) => {
                tracing::warn!(operation = %self.call.operation, "it was rolled back");
                Round::Release(Execution::NotCommitted(error))
            }
            Ok(Written::Fenced) => {
                let sealer = self.inner.sealer(self.call);
                let execution = match commands.inspect(self.call.slot).await.map(|view| {
                    let state = view.map(|view| view.state);
                    match state {
                        Some(SlotState::Completed { record, expired }) => Some((record, expired)),
                        _ => None,
                    }
                }) {
                    Ok(Some((kept, _))) if sealer.is(&kept, record) => {
                        hold.count(Some(record)).await;
                        recorded
                    }
                    Ok(Some((record, expired))) => sealer.replay(self.call, record, expired),
                    Ok(None) | Err(_) => recorded_by_another(self.inner, self.call)
                        .await
                        .unwrap_or(Execution::NotCommitted(error)),
                };
                Round::Over(execution)
            }
            // Its lease lapses, and a retry finds out.
            Err(_) => Round::Over(Execution::NotCommitted(error)),
        }
    }
}
