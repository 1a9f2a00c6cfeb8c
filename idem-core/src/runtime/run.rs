//! One protected execution, from claim to recorded answer.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;
use tracing::Span;

use super::{
    Inner, Runtime,
    admit::{Admission, admit, settle},
    commands::Failed,
    hold::{Ended, Hold},
    lease::Held,
    limits::{Met, Seat, bytes_of},
    names::Named,
    rescue::Engaged,
    steps::Steps,
};
use crate::{
    Call, Claim, ClaimRequest, Claimed, Execution, Finish, Grant, OnStoreError, OwnerId, SlotState,
    StoreError, Stored, backoff::Backoff, clock::after, telemetry,
};

/// How often a question is asked whose answer came after the lease that it is about.
/// A store that is always so late protects nothing: it counts as out of reach.
pub(super) const OLD_NEWS: usize = 3;

/// What is to be run.
enum Work<A> {
    Plain(Boxed<A>),
    InSteps(InSteps<A>),
}

/// Work of one type, whatever runs in it.
type Boxed<A> = BoxFuture<'static, Finish<A>>;

type InSteps<A> = Box<dyn FnOnce(Steps) -> Boxed<A> + Send>;

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
    ///     Execution, Finish, FingerprintBuilder, IdempotencyKey, MemoryStore, Operation,
    ///     Runtime, Scope,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::builder(MemoryStore::new()).build()?;
    /// let (key, asked) = (IdempotencyKey::new("k-1")?, FingerprintBuilder::new().finish());
    /// let call =
    ///     runtime.call(Operation::new("greet"), &Scope::GLOBAL, &key, asked, runtime.settings());
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
        self.execute_boxed(call, Box::pin(work))
    }

    /// [`execute`](Self::execute) for work that is in its box already.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    ///
    /// # Panics
    /// As [`execute`](Self::execute).
    pub fn execute_boxed<A: Send + 'static>(
        &self,
        call: Call,
        work: BoxFuture<'static, Finish<A>>,
    ) -> impl Future<Output = Execution<A>> + Send + use<A> {
        self.execute_work(call, Work::Plain(work))
    }

    /// [`execute`](Self::execute) for work with recovery points: it is given its
    /// [`Steps`], and through them its [`Lease`](crate::Lease).
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    ///
    /// # Panics
    /// As [`execute`](Self::execute).
    pub fn execute_in_steps<A, F, W>(
        &self,
        call: Call,
        work: F,
    ) -> impl Future<Output = Execution<A>> + Send + use<A, F, W>
    where
        A: Send + 'static,
        F: FnOnce(Steps) -> W + Send + 'static,
        W: Future<Output = Finish<A>> + Send + 'static,
    {
        let work: InSteps<A> = Box::new(move |steps| Box::pin(work(steps)));
        self.execute_work(call, Work::InSteps(work))
    }

    fn execute_work<A: Send + 'static>(
        &self,
        call: Call,
        work: Work<A>,
    ) -> impl Future<Output = Execution<A>> + Send + use<A> {
        self.guarded(call, move |inner, call, engaged, span| {
            protect(inner, call, work, engaged, span)
        })
    }
}

#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` holds its arguments twice, and these are large"
)]
fn protect<A: Send>(
    inner: Arc<Inner>,
    mut call: Named,
    work: Work<A>,
    engaged: Engaged,
    span: Span,
) -> impl Future<Output = Execution<A>> + Send {
    async move {
        let request = call.claim_request(OwnerId::random());
        let has_steps = matches!(work, Work::InSteps(_));
        let admission = Won::claim(&inner, &mut call, &engaged, &request, has_steps).await;
        telemetry::answered(&span, &call);
        match admission {
            Admission::Won(Won {
                hold,
                held,
                claimed,
            }) => {
                let attempt = claimed.attempt;
                telemetry::claimed(&span, &call, attempt, claimed.taken_over);
                let sealer = inner.sealer(&call);
                let finished = match sealer.open_steps(&call, claimed.checkpoints) {
                    Ok(finished) => finished,
                    Err(error) => {
                        let unopened = Execution::StoreFailed(error);
                        return Box::pin(hold.give_back(&inner, &call, unopened)).await;
                    }
                };
                let steps =
                    held.map(|held| Steps::of(held, &call, &inner.commands, &sealer, finished));
                let work = work.start(steps.as_ref());
                run(&inner, &call, hold, attempt, work, steps.as_ref()).await
            }
            Admission::Lost(rivals) => rivals.answer(&inner, &call),
            Admission::Limited(met) => met.into(),
            Admission::StoreFailed(failed) => {
                // Rare, as all that is in a box here: its room is not every execution's.
                Box::pin(without_store(&inner, &call, failed.error, work, &engaged)).await
            }
        }
    }
}

impl<A> Work<A> {
    /// The work's future, which has not been polled. Without steps of a claim,
    /// nothing of it is kept.
    fn start(self, steps: Option<&Steps>) -> Boxed<A> {
        match self {
            Self::Plain(work) => work,
            Self::InSteps(work) => work(steps.cloned().unwrap_or_else(Steps::unprotected)),
        }
    }
}

/// A claim that was won.
pub(super) struct Won {
    pub(super) hold: Hold,
    /// What the work knows of it, where it wants to know.
    pub(super) held: Option<Arc<Held>>,
    pub(super) claimed: Claimed,
}

impl Won {
    /// Claims the call's slot, and waits for it where the call says so. What is won has
    /// a lease that is certain: no work begins after another's record.
    pub(super) async fn claim(
        inner: &Arc<Inner>,
        call: &mut Named,
        engaged: &Engaged,
        request: &ClaimRequest,
        has_steps: bool,
    ) -> Admission<Self> {
        let claim = |seat| async move {
            for _ in 0..OLD_NEWS {
                let sent = Instant::now();
                let claimed = match inner.commands.claim(request).await? {
                    Claim::Claimed(claimed) => claimed,
                    claim => return Ok(Err(claim)),
                };
                // An answer that comes after the lease (this process stood still) says whose
                // the slot was. Another may have taken over, and even be done.
                if Instant::now() < after(sent, request.lease) {
                    let under = claimed.under;
                    return Ok(Ok(((claimed, sent, seat), under)));
                }
            }
            Err(Failed {
                error: StoreError::TimedOut(request.lease),
                maybe_applied: true,
            })
        };
        match admit(inner, call, engaged, claim).await {
            Admission::Won((claimed, sent, seat)) => Admission::Won(Self::new(
                inner, call, request, claimed, sent, has_steps, seat,
            )),
            Admission::Lost(rivals) => Admission::Lost(rivals),
            Admission::Limited(met) => Admission::Limited(met),
            Admission::StoreFailed(failed) => {
                if failed.maybe_applied {
                    settle(inner, *request);
                }
                Admission::StoreFailed(failed)
            }
        }
    }

    fn new(
        inner: &Arc<Inner>,
        call: &Named,
        request: &ClaimRequest,
        claimed: Claimed,
        asked_at: Instant,
        has_steps: bool,
        seat: Option<Seat>,
    ) -> Self {
        let grant = Grant {
            slot: call.slot,
            owner: request.owner,
            fence: claimed.fence,
        };
        let lease = call.settings.lease;
        let held = has_steps.then(|| Held::claimed(grant, claimed.attempt, lease, asked_at));
        Self {
            hold: Hold::new(
                inner,
                call,
                grant,
                asked_at,
                held.clone(),
                bytes_of(&claimed.checkpoints),
                seat,
            ),
            held,
            claimed,
        }
    }
}

impl<A> From<Met> for Execution<A> {
    fn from(Met { limit, retry_after }: Met) -> Self {
        Self::Limited { limit, retry_after }
    }
}

#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` holds its arguments twice, and these are large"
)]
fn run<A: Send>(
    inner: &Arc<Inner>,
    call: &Named,
    hold: Hold,
    attempt: u32,
    work: Boxed<A>,
    steps: Option<&Steps>,
) -> impl Future<Output = Execution<A>> + Send {
    async move {
        let worked = AssertUnwindSafe(work).catch_unwind().await;
        if let Some(steps) = steps {
            steps.end();
        }
        if let (Ok(_), Some(stop)) = (&worked, steps.and_then(Steps::stopped)) {
            let stopped = Execution::Stopped(stop);
            return Box::pin(hold.give_back(inner, call, stopped)).await;
        }
        match worked {
            Ok(Finish::Record { answer, record }) => {
                let stored = match hold.complete(record).await {
                    Ended::Stored => Stored::Recorded,
                    Ended::Pending => Stored::Pending,
                    Ended::Fenced => {
                        telemetry::fenced(call);
                        match Box::pin(recorded_by_another(inner, call)).await {
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
                let released = Execution::Ran {
                    answer,
                    attempt,
                    stored: Stored::Released,
                };
                Box::pin(hold.give_back(inner, call, released)).await
            }
            Err(_panic) => {
                // The panic hook has reported it.
                Box::pin(hold.give_back(inner, call, Execution::Panicked)).await
            }
        }
    }
}

/// Another execution took over from one that has nothing to keep: its client
/// gets what is recorded, as everybody, or else what there is.
pub(super) async fn instead<A>(
    inner: &Inner,
    call: &Named,
    otherwise: Execution<A>,
) -> Execution<A> {
    telemetry::fenced(call);
    let execution = recorded_by_another(inner, call).await;
    execution.unwrap_or(otherwise)
}

/// Another execution took over before this one's answer was recorded. Everybody
/// gets the answer that is recorded, so waits for it for a while. `None`: it has
/// ended without one.
pub(super) async fn recorded_by_another<A>(inner: &Inner, call: &Named) -> Option<Execution<A>> {
    let give_up = after(Instant::now(), inner.commands.patience());
    let mut backoff = Backoff::new(Duration::from_millis(25), Duration::from_millis(500));
    let mut waiter = inner.waiters.join(call.own_slot());
    loop {
        let lease_left = match inner.commands.inspect(call.slot).await {
            Ok(Some(view)) if view.fingerprint == call.fingerprint => match view.state {
                SlotState::Completed { record, expired } => {
                    return Some(inner.sealer(call).replay(call, record, expired));
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
    inner: &Inner,
    call: &Call,
    error: StoreError,
    work: Work<A>,
    engaged: &Engaged,
) -> Execution<A> {
    // What cannot be read may be the record of this very call: running it would
    // be a second execution, which nobody who fails open has asked for.
    let may_run = call.settings.store_error == OnStoreError::FailOpen
        && !matches!(
            error,
            StoreError::Corrupt { .. } | StoreError::Unopened { .. }
        );
    if !may_run {
        tracing::warn!(operation = %call.operation, %error, "refused: the store did not take the claim");
        return Execution::StoreFailed(error);
    }
    let _seat = match inner.enter_unprotected(call) {
        Ok(seat) => seat,
        Err(met) => return met.into(),
    };
    tracing::warn!(operation = %call.operation, %error, "running without protection: the store did not take the claim");
    telemetry::failed_open(call);
    engaged.set(true);
    match AssertUnwindSafe(work.start(None)).catch_unwind().await {
        Ok(Finish::Record { answer, .. } | Finish::Release { answer }) => {
            Execution::Unprotected { answer }
        }
        Err(_panic) => Execution::Panicked,
    }
}
