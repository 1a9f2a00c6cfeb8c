//! Recovery points: where the next attempt goes on.

mod codec;
mod error;
mod key;
mod progress;

#[cfg(any(test, fuzzing))]
pub(crate) mod checkpoints {
    pub(crate) use super::codec::{decode, encode};
}

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

pub use self::error::{MAX_STEP_NAME_BYTES, MAX_STEPS, MAX_STEPS_BYTES, StepError, StepsError};
use self::progress::{Asked, Progress};
use super::{
    commands::Commands,
    lease::{Held, Lease},
    run::OLD_NEWS,
    seal::Sealer,
};
use crate::{Call, Checkpoint, Grant, StoreError, Written, random::random};

/// The recovery points of one execution: each step runs once per slot, and an
/// attempt after a crash gets the results of those that were finished before.
/// Cheap to clone; clones share everything.
///
/// The result of a step is kept in the store, under the claim's fence, before the
/// work goes on. So
///
/// - a *finished* step (its result is kept) never runs again;
/// - the step that was *interrupted* may run again: give the service it calls the
///   step's [`key`](Self::key), which is the same in every attempt;
/// - a step that *failed* is not kept, and runs again.
///
/// ```
/// use idem_core::{MemoryStore, OnceError, Overrides, Runtime, Scope, StepError};
///
/// # #[derive(Debug, thiserror::Error)] #[error("declined")] struct Declined;
/// # async fn charge(_key: &str, cents: u64) -> Result<String, Declined> { Ok(format!("ch_{cents}")) }
/// # async fn ship(_key: &str, _charge: &str) -> Result<String, Declined> { Ok("track-1".to_owned()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder(MemoryStore::new()).build()?;
/// let done = runtime
///     .once_in_steps(&Overrides::NONE, "order", &Scope::GLOBAL, "order-17", &1250, |steps| async move {
///         let key = steps.key("charge");
///         let charged = steps.run("charge", || charge(&key, 1250)).await?;
///         let key = steps.key("ship");
///         let tracking = steps.run("ship", || ship(&key, &charged)).await?;
///         Ok::<_, StepError<Declined>>((charged, tracking))
///     })
///     .await?;
/// assert_eq!(done.value.1, "track-1");
/// # Ok(())
/// # }
/// ```
///
/// # What is expected of the work
///
/// It asks for the same steps in the same order in every attempt, as far as it has
/// come: a finished step that an attempt has not asked for before it asks for a new
/// one is taken for a renamed one, and is an error (see [`retire`](Self::retire)).
/// Steps may run beside one another (`join!`) if they are begun together.
///
/// After a [`StepsError`] the work should end. Whatever it answers is not
/// recorded, so that a retry goes on from the last step that was kept.
///
/// # Limits
/// [`MAX_STEPS`] steps, [`MAX_STEPS_BYTES`] for their results together, and
/// [`MAX_STEP_NAME_BYTES`] for a name. A result for which there is no room is
/// given to the work, and not kept: if the work is interrupted later, the next
/// attempt gets [`StepsError::NotRetained`], and not a second execution.
#[derive(Clone)]
pub struct Steps(Arc<Shared>);

struct Shared {
    held: Arc<Held>,
    /// `None`: nothing is kept, because there is no claim.
    keeper: Option<Keeper>,
    /// What the keys for services downstream are derived from.
    seed: [u8; 64],
    progress: Mutex<Progress>,
    stopped: Mutex<Option<Stop>>,
}

/// What keeps the results.
struct Keeper {
    commands: Commands,
    sealer: Sealer,
}

/// Why the work had to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The store did not keep a step's result, or say whether the claim holds.
    Store,
    /// The steps are not those of the attempt before, or not what steps can be.
    Steps,
}

/// A step that this run has asked for and that has no result yet. Dropped, it may
/// be asked for again.
struct Begun<'a> {
    shared: &'a Shared,
    name: &'a str,
    is_finished: bool,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.shared.progress().forget(self.name);
        }
    }
}

impl Steps {
    /// Those of a claim that was won.
    pub(crate) fn of(
        held: Arc<Held>,
        call: &Call,
        commands: &Commands,
        sealer: &Sealer,
        finished: Vec<Checkpoint>,
    ) -> Self {
        let mut seed = [0; 64];
        seed[..32].copy_from_slice(call.slot.as_bytes());
        // A key that was deleted and is used for something else is another key downstream.
        seed[32..].copy_from_slice(call.fingerprint.as_bytes());
        let keeper = Keeper {
            commands: commands.clone(),
            sealer: sealer.clone(),
        };
        Self::new(held, Some(keeper), seed, finished)
    }

    /// For work that runs without protection: every step runs, and nothing is kept.
    /// The keys are of this execution only.
    #[must_use]
    pub fn unprotected() -> Self {
        let mut seed = [0; 64];
        seed[..32].copy_from_slice(&random::<[u8; 32]>());
        Self::new(Held::unprotected(), None, seed, Vec::new())
    }

    fn new(
        held: Arc<Held>,
        keeper: Option<Keeper>,
        seed: [u8; 64],
        finished: Vec<Checkpoint>,
    ) -> Self {
        Self(Arc::new(Shared {
            held,
            keeper,
            seed,
            progress: Mutex::new(Progress::new(finished)),
            stopped: Mutex::new(None),
        }))
    }

    /// Runs `work` and keeps its result, or gives the result that an earlier
    /// attempt has kept. The name is the step's identity: it must stay the same in
    /// later versions of the program for as long as an execution can be interrupted.
    ///
    /// `work` is called only while the claim certainly holds. Its error is not
    /// kept; the same name may then be run again.
    ///
    /// # Errors
    /// [`StepError::Work`] is the step's own error. After [`StepError::Steps`] the
    /// work should end: see [`StepsError`].
    ///
    /// # Cancellation
    /// Dropped while `work` runs, the step is interrupted: it may run again.
    ///
    /// # Panics
    /// When polled outside a tokio runtime with its time driver enabled.
    pub async fn run<T, E, W>(
        &self,
        name: &str,
        work: impl FnOnce() -> W,
    ) -> Result<T, StepError<E>>
    where
        T: Serialize + DeserializeOwned,
        W: Future<Output = Result<T, E>>,
    {
        let begun = match self.begin(name).await? {
            Ok(begun) => begun,
            Err(kept) => {
                return codec::decode(name, &kept).map_err(|error| self.0.stop(error).into());
            }
        };
        let value = work().await.map_err(StepError::Work)?;
        self.finish(begun, codec::encode(&value)).await?;
        Ok(value)
    }

    /// An idempotency key for the service that the step calls: a UUID that is the
    /// same in every attempt and every process, and of this call's slot and
    /// payload only.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        key::derive(&self.0.seed, name)
    }

    /// 1 for the first execution, one more for each takeover or re-run.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.lease().attempt()
    }

    /// The claim that the steps are kept under.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease::of(Arc::clone(&self.0.held))
    }

    /// Whether the step is finished, in this attempt or an earlier one.
    #[must_use]
    pub fn is_finished(&self, name: &str) -> bool {
        self.0.progress().value(name).is_some()
    }

    /// Says that an earlier version of the work had a step of this name, and this
    /// one has it no more: what an earlier attempt has kept of it is left alone.
    ///
    /// To be said before the steps that come after it, at least for as long as an
    /// execution of the earlier version may be waiting for its retry.
    pub fn retire(&self, name: &str) {
        self.0.progress().retire(name);
    }

    /// The work runs once more within its claim: what it has finished stays so.
    pub(crate) fn begin_again(&self) {
        self.0.progress().begin_again();
        self.0.held.goes_on();
    }

    /// The work has ended: what it has left behind can begin no step any more.
    pub(crate) fn end(&self) {
        self.0.held.over();
    }

    /// Why the work had to end, if it had to.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        *self
            .0
            .stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// That the step may run now, or what was kept of it.
    async fn begin<'a>(&'a self, name: &'a str) -> Result<Result<Begun<'a>, Bytes>, StepsError> {
        let shared = &*self.0;
        let asked = shared.progress().ask(name);
        let is_next = match asked.map_err(|error| shared.stop(error))? {
            Asked::Finished(value) => return Ok(Err(value)),
            Asked::Fresh => true,
            Asked::OutOfOrder => false,
        };
        let begun = Begun {
            shared,
            name,
            is_finished: false,
        };
        if !is_next {
            // What runs beside this step is asked for in the same poll.
            tokio::task::yield_now().await;
            if let Some(finished) = shared.progress().skipped() {
                return Err(shared.stop(StepsError::OtherOrder {
                    finished,
                    asked: name.to_owned(),
                }));
            }
        }
        shared.confirm(name).await?;
        Ok(Ok(begun))
    }

    /// Keeps the result. `None`: there is none that can be kept.
    async fn finish(
        &self,
        mut begun: Begun<'_>,
        result: Option<Vec<u8>>,
    ) -> Result<(), StepsError> {
        // Its effect has happened, and must not happen again in this run.
        begun.is_finished = true;
        let shared = &*self.0;
        let name = begun.name;
        let (Some(grant), Some(keeper)) = (shared.held.grant(), &shared.keeper) else {
            return Ok(());
        };
        let checkpoint = |value: Vec<u8>| Checkpoint {
            name: name.to_owned(),
            value: Bytes::from(value),
        };
        let step = result
            .map(checkpoint)
            .filter(|step| shared.progress().has_room_for(step))
            .unwrap_or_else(|| {
                tracing::error!(
                    slot = %grant.slot.short(),
                    step = name,
                    "the result of a finished step is too large or cannot be serialized, so it is not kept: \
                     if this execution is interrupted, a retry cannot go on"
                );
                checkpoint(codec::not_retained())
            });
        match keeper.keep(grant, step.clone()).await {
            Ok(Written::Done) => {
                shared.held.keeps(&step);
                shared.progress().keep(step);
                Ok(())
            }
            Ok(Written::Fenced) => {
                shared.held.fenced();
                Err(StepsError::Fenced)
            }
            Err(error) => Err(shared.stop(StepsError::Store {
                step: name.to_owned(),
                error,
            })),
        }
    }
}

impl Keeper {
    async fn keep(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        let step = self.sealer.step(step)?;
        let written = self.commands.checkpoint(grant, step).await;
        written.map_err(|failed| failed.error)
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the claim holds: of a lease that has run out by this
    /// process's clock, the store knows whether anybody has taken it over.
    async fn confirm(&self, name: &str) -> Result<(), StepsError> {
        let (Some(grant), Some(keeper)) = (self.held.grant(), &self.keeper) else {
            return Ok(());
        };
        let failed = |error| {
            self.stop(StepsError::Store {
                step: name.to_owned(),
                error,
            })
        };
        // An answer that comes after the lease (this process stood still) says nothing of now.
        for _ in 0..OLD_NEWS {
            if self.holds(name)? {
                return Ok(());
            }
            let asked_at = Instant::now();
            match keeper.commands.renew(grant, self.held.lease()).await {
                Ok(Written::Done) => self.held.renewed(asked_at),
                Ok(Written::Fenced) => {
                    self.held.fenced();
                    return Err(StepsError::Fenced);
                }
                Err(error) => return Err(failed(error.error)),
            }
        }
        if self.holds(name)? {
            return Ok(());
        }
        Err(failed(StoreError::TimedOut(self.held.lease())))
    }

    /// Whether the claim holds by this process's clock; an error if it holds no more.
    fn holds(&self, name: &str) -> Result<bool, StepsError> {
        if self.held.is_over() {
            return Err(StepsError::Over {
                step: name.to_owned(),
            });
        }
        if self.held.is_fenced() {
            return Err(StepsError::Fenced);
        }
        Ok(self.held.is_sure())
    }

    /// What the work answers from here on is not recorded.
    fn stop(&self, error: StepsError) -> StepsError {
        let stop = match &error {
            // The store refuses what it answers by itself.
            StepsError::Fenced => return error,
            StepsError::Store { .. } => Stop::Store,
            _ => Stop::Steps,
        };
        if let Some(grant) = self.held.grant() {
            tracing::error!(slot = %grant.slot.short(), %error, "the execution has to end");
        }
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.get_or_insert(stop);
        error
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("lease", &self.lease())
            .field("stopped", &self.stopped())
            .finish_non_exhaustive()
    }
}
