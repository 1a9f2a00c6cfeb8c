//! One protected execution, from claim to recorded answer.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::{
    Inner, Runtime,
    admit::{Admission, Rivals, admit, settle},
    hold::{Ended, Hold},
    rescue::{Engaged, Rescue},
};
use crate::{
    Claim, Claimed, Fingerprint, OnStoreError, Operation, OwnerId, Settings, Slot, SlotState,
    StoreError,
    backoff::Backoff,
    clock::after,
    telemetry::{self, InFlight},
};

/// One intent that arrived: what it is called, what it asks, how it is treated.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which endpoint or job: for spans and metrics. The slot contains it already.
    pub operation: Operation,
    /// Its place in the store.
    pub slot: Slot,
    /// What it asks.
    pub fingerprint: Fingerprint,
    /// How it is treated.
    pub settings: Settings,
}

/// What the work says of its own answer.
#[derive(Debug, Clone)]
pub enum Finish<A> {
    /// Keep `record`; every retry gets it.
    Record {
        /// The answer for this caller.
        answer: A,
        /// What a retry gets, see [`Record::encode`](crate::record::Record::encode).
        record: Bytes,
    },
    /// Keep nothing; a retry runs again.
    Release {
        /// The answer for this caller.
        answer: A,
    },
}

/// What became of a call.
#[derive(Debug)]
pub enum Execution<A> {
    /// The work ran.
    Ran {
        /// Its answer.
        answer: A,
        /// 1 for the first execution, one more for each takeover or re-run.
        attempt: u32,
        /// What was kept of it.
        stored: Stored,
    },
    /// The store failed and the call is to [fail open](OnStoreError::FailOpen):
    /// the work ran without protection.
    Unprotected {
        /// Its answer.
        answer: A,
    },
    /// The call was made before: here is the record of its answer. The work
    /// did not run, or ran for so long that another execution took over and
    /// recorded its own answer first.
    Replayed(Replay),
    /// The same call runs now; the work did not run.
    InProgress {
        /// What is left of the other's lease.
        lease_left: Duration,
    },
    /// The key belongs to another payload; the work did not run.
    KeyReused,
    /// An earlier execution fell silent, and [`OnCrash::Refuse`](crate::OnCrash)
    /// says that nobody runs it again; the work did not run.
    OutcomeUnknown,
    /// The work panicked. The slot is released, a retry runs again.
    Panicked,
    /// The work ran in a transaction that has not committed, so nothing has
    /// happened; or (where the error [is ambiguous](StoreError::is_ambiguous))
    /// the database went away before it said whether it had. A retry runs, or gets
    /// the recorded answer. See [`Runtime::execute_in`].
    NotCommitted(StoreError),
    /// The store failed; the work did not run.
    StoreFailed(StoreError),
}

/// What was kept of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Its answer: a retry gets the same.
    Recorded,
    /// Nothing, because the work said so: a retry runs again.
    Released,
    /// Nothing yet: the store does not answer, and is asked again in the
    /// background. Until then a retry is told that the call is in progress.
    Pending,
    /// Nothing: another execution took over, and ended without a record.
    Lost,
}

/// A recorded answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The record's bytes.
    pub record: Bytes,
    /// Whether its ttl has passed.
    pub expired: bool,
}

impl Runtime {
    /// Runs `work` once for the call's slot, or says what became of it.
    ///
    /// The work is a future that has not been polled; it is polled only after
    /// the claim is won.
    ///
    /// # Cancellation
    /// The returned future may be dropped at any point. From the moment a claim
    /// is sent, whatever is left goes on in a task of its own until the outcome
    /// is stored; before that, and while it only waits for another execution,
    /// dropping it ends it.
    ///
    /// # Panics
    /// When polled outside a tokio runtime with its time driver enabled.
    ///
    /// # Examples
    /// ```
    /// use bytes::Bytes;
    /// use idem_core::{
    ///     Call, Execution, Finish, FingerprintBuilder, IdempotencyKey, MemoryStore, Operation,
    ///     Runtime, Scope,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::builder(MemoryStore::new()).build()?;
    /// let operation = Operation::new("greet");
    /// let call = Call {
    ///     slot: runtime.slot(&operation, &Scope::GLOBAL, &IdempotencyKey::new("k-1")?),
    ///     operation,
    ///     fingerprint: FingerprintBuilder::new().finish(),
    ///     settings: runtime.settings(),
    /// };
    /// let work = async { Finish::Record { answer: "hello", record: Bytes::from("hello") } };
    /// assert!(matches!(
    ///     runtime.execute(call.clone(), work).await,
    ///     Execution::Ran { answer: "hello", attempt: 1, .. }
    /// ));
    /// let work = async { Finish::Release { answer: "never runs" } };
    /// assert!(matches!(runtime.execute(call, work).await, Execution::Replayed(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute<A, W>(
        &self,
        call: Call,
        work: W,
    ) -> impl Future<Output = Execution<A>> + Send + use<A, W>
    where
        A: Send + 'static,
        W: Future<Output = Finish<A>> + Send + 'static,
    {
        let engaged = Engaged::default();
        let span = telemetry::span(&call);
        let inner = Arc::clone(&self.inner);
        let carrier = inner.carrier.clone();
        let protected = protect(inner, call, Box::pin(work), engaged.clone(), span.clone());
        let future = protected.instrument(span);
        Rescue::new(Box::pin(future), engaged, carrier)
    }
}

async fn protect<A>(
    inner: Arc<Inner>,
    call: Call,
    work: BoxFuture<'static, Finish<A>>,
    engaged: Engaged,
    span: Span,
) -> Execution<A> {
    let _token = inner.tracker.token();
    let _in_flight = InFlight::start(&call.operation);
    let request = call.claim_request(OwnerId::random());
    let claim = || async {
        let sent = Instant::now();
        Ok(match inner.commands.claim(request).await? {
            Claim::Claimed(claimed) => {
                let hold = Hold::new(&inner, &call, request.owner, &claimed, sent);
                Ok((hold, claimed))
            }
            claim => Err(claim),
        })
    };
    let execution = match admit(&inner, &call, &engaged, claim).await {
        Admission::Won((hold, claimed)) => {
            let Claimed {
                attempt,
                taken_over,
                ..
            } = claimed;
            telemetry::claimed(&span, &call, attempt, taken_over);
            run(&inner, &call, hold, attempt, work).await
        }
        Admission::Lost(rivals) => rivals.into(),
        Admission::StoreFailed(failed) => {
            if failed.maybe_applied {
                settle(&inner, request);
            }
            without_store(&call, failed.error, work, &engaged).await
        }
    };
    telemetry::finished(&span, &call.operation, &execution);
    execution
}

impl<A> From<Rivals> for Execution<A> {
    fn from(rivals: Rivals) -> Self {
        match rivals {
            Rivals::Completed(completed) => Self::Replayed(Replay {
                record: completed.record,
                expired: completed.expired,
            }),
            Rivals::InFlight { lease_left } => Self::InProgress { lease_left },
            Rivals::Mismatch => Self::KeyReused,
            Rivals::Unknown => Self::OutcomeUnknown,
        }
    }
}

async fn run<A>(
    inner: &Arc<Inner>,
    call: &Call,
    hold: Hold,
    attempt: u32,
    work: BoxFuture<'static, Finish<A>>,
) -> Execution<A> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Finish::Record { answer, record }) => {
            let stored = match hold.complete(record).await {
                Ended::Stored => Stored::Recorded,
                Ended::Pending => Stored::Pending,
                Ended::Fenced => {
                    telemetry::fenced(call);
                    match recorded_by_another(inner, call).await {
                        Some(execution) => return execution,
                        None => Stored::Lost,
                    }
                }
            };
            Execution::Ran {
                answer,
                attempt,
                stored,
            }
        }
        Ok(Finish::Release { answer }) => {
            // Fenced or pending, too, nothing is kept of this answer.
            let _ = hold.release().await;
            Execution::Ran {
                answer,
                attempt,
                stored: Stored::Released,
            }
        }
        Err(_panic) => {
            // The panic hook has reported it.
            let _ = hold.release().await;
            Execution::Panicked
        }
    }
}

/// Another execution took over before this one's answer was recorded. Everybody
/// gets the answer that is recorded, so waits for it for a while. `None`: it has
/// ended without one.
pub(super) async fn recorded_by_another<A>(inner: &Inner, call: &Call) -> Option<Execution<A>> {
    let give_up = after(Instant::now(), inner.commands.patience());
    let mut backoff = Backoff::new(Duration::from_millis(25), Duration::from_millis(500));
    let mut waiter = inner.waiters.join(call.slot);
    loop {
        let lease_left = match inner.commands.inspect(call.slot).await {
            Ok(Some(view)) if view.fingerprint == call.fingerprint => match view.state {
                SlotState::Completed { record, expired } => {
                    return Some(Execution::Replayed(Replay { record, expired }));
                }
                SlotState::InFlight { lease_left } => lease_left,
                SlotState::Lapsed | SlotState::Unknown => Duration::ZERO,
                SlotState::Released => return None,
            },
            Ok(_) => return None,
            Err(_) => Duration::ZERO,
        };
        let now = Instant::now();
        if now >= give_up {
            return Some(Execution::InProgress { lease_left });
        }
        waiter.changed(after(now, backoff.pause()), give_up).await;
    }
}

async fn without_store<A>(
    call: &Call,
    error: StoreError,
    work: BoxFuture<'static, Finish<A>>,
    engaged: &Engaged,
) -> Execution<A> {
    // What cannot be read may be the record of this very call: running it would
    // be a second execution, which nobody who fails open has asked for.
    let may_run = call.settings.store_error == OnStoreError::FailOpen
        && !matches!(error, StoreError::Corrupt { .. });
    if !may_run {
        tracing::warn!(operation = %call.operation, %error, "refused: the store did not take the claim");
        return Execution::StoreFailed(error);
    }
    tracing::warn!(operation = %call.operation, %error, "running without protection: the store did not take the claim");
    telemetry::failed_open(call);
    engaged.set(true);
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Finish::Record { answer, .. } | Finish::Release { answer }) => {
            Execution::Unprotected { answer }
        }
        Err(_panic) => Execution::Panicked,
    }
}
