//! The same protection for work outside HTTP: consumers, jobs, webhooks.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Call, Execution, FingerprintBuilder, FingerprintError, Finish, IdempotencyKey, KeyError, Limit,
    Operation, Overrides, PolicyError, Replay, Runtime, Scope, Steps, Stop, StoreError, Stored,
    TransactionHandle, Worked, Writes,
    record::{Record, RecordError},
};

impl Runtime {
    /// Runs `work` once per operation, scope and key, and gives every later
    /// caller with the same payload its result.
    ///
    /// `Ok` is recorded as JSON; an `Err` or a panic is not, and a retry runs
    /// again. The rest is [`execute`](Self::execute)'s: the work goes on when
    /// the returned future is dropped.
    ///
    /// # Errors
    /// [`OnceError`]; its [`Work`](OnceError::Work) is the work's own error.
    ///
    /// # Examples
    /// ```
    /// use idem_core::{MemoryStore, OnceError, Runtime, Scope};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::builder(MemoryStore::new()).build()?;
    /// let tenant = Scope::new("tenant", "acme")?;
    /// let send = || async { Ok::<_, std::io::Error>(String::from("mail-17")) };
    ///
    /// let first = runtime.once("send-invoice", &tenant, "inv-1", &("a@b.c", 1250), send).await?;
    /// let again = runtime.once("send-invoice", &tenant, "inv-1", &("a@b.c", 1250), send).await?;
    /// assert_eq!(first.value, again.value);
    /// assert!(again.replayed);
    ///
    /// let other = runtime.once("send-invoice", &tenant, "inv-1", &("x@y.z", 9), send).await;
    /// assert!(matches!(other, Err(OnceError::KeyReused)));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn once<P, T, E, W, F>(
        &self,
        operation: impl Into<Operation>,
        scope: &Scope,
        key: &str,
        payload: &P,
        work: W,
    ) -> Result<Once<T>, OnceError<E>>
    where
        P: Serialize + ?Sized,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        W: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.once_with(&Overrides::NONE, operation, scope, key, payload, work)
            .await
    }

    /// [`once`](Self::once) with its own ttl, lease, and so on.
    ///
    /// # Errors
    /// [`OnceError`], as [`once`](Self::once).
    pub async fn once_with<P, T, E, W, F>(
        &self,
        overrides: &Overrides,
        operation: impl Into<Operation>,
        scope: &Scope,
        key: &str,
        payload: &P,
        work: W,
    ) -> Result<Once<T>, OnceError<E>>
    where
        P: Serialize + ?Sized,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        W: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let call = self.call_of(overrides, operation.into(), scope, key, payload)?;
        let work = work();
        let execution = self.execute(call, async move { keep(work.await) }).await;
        answer(execution)
    }

    /// [`once_with`](Self::once_with) with recovery points: after a crash the work
    /// goes on from the last [step](Steps) that was kept.
    ///
    /// # Errors
    /// [`OnceError`], as [`once`](Self::once); [`OnceError::Stopped`] where a step had
    /// no result because of the store or of the steps themselves.
    pub async fn once_in_steps<P, T, E, W, F>(
        &self,
        overrides: &Overrides,
        operation: impl Into<Operation>,
        scope: &Scope,
        key: &str,
        payload: &P,
        work: W,
    ) -> Result<Once<T>, OnceError<E>>
    where
        P: Serialize + ?Sized,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        W: FnOnce(Steps) -> F + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let call = self.call_of(overrides, operation.into(), scope, key, payload)?;
        let work = move |steps| {
            let work = work(steps);
            async move { keep(work.await) }
        };
        answer(self.execute_in_steps(call, work).await)
    }

    /// [`once_with`](Self::once_with) in a transaction of the store's database: the
    /// work's writes and its recorded result commit together or not at all, see
    /// [`execute_in`](Self::execute_in). An `Err` rolls everything back.
    ///
    /// # Errors
    /// [`OnceError`], as [`once`](Self::once).
    pub async fn once_in<H, P, T, E, W, F>(
        &self,
        overrides: &Overrides,
        operation: impl Into<Operation>,
        scope: &Scope,
        key: &str,
        payload: &P,
        work: W,
    ) -> Result<Once<T>, OnceError<E>>
    where
        H: TransactionHandle,
        P: Serialize + ?Sized,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        W: FnOnce(H) -> F + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let call = self.call_of(overrides, operation.into(), scope, key, payload)?;
        let work = move |transaction| {
            let work = work(transaction);
            async move {
                Worked {
                    finish: keep(work.await),
                    writes: Writes::Keep,
                    conflict: false,
                }
            }
        };
        answer(self.execute_in(call, work).await)
    }

    fn call_of<P: Serialize + ?Sized, E>(
        &self,
        overrides: &Overrides,
        operation: Operation,
        scope: &Scope,
        key: &str,
        payload: &P,
    ) -> Result<Call, OnceError<E>> {
        let key = IdempotencyKey::new(key)?;
        let mut fingerprint = FingerprintBuilder::new();
        fingerprint.typed(payload)?;
        let settings = self.settings_for(overrides)?;
        Ok(self.call(operation, scope, &key, fingerprint.finish(), settings))
    }
}

/// The result of work that ran once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once<T> {
    /// What the work returned, now or when it ran.
    pub value: T,
    /// Whether it ran before and this is its recorded result.
    pub replayed: bool,
    /// Whether every later caller gets this result. Not while the store does not
    /// answer (it is asked again in the background), after another execution has
    /// taken over and kept nothing, or where the work ran without protection. What
    /// was asked for by a message should then not be acknowledged yet.
    pub stored: bool,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError<E> {
    /// The work ran and failed; a retry runs again.
    #[error("the work failed")]
    Work(E),
    /// The work panicked; a retry runs again.
    #[error("the work panicked")]
    Panicked,
    /// The same work runs now: try again later.
    #[error("the same work is in progress; try again later")]
    InProgress {
        /// What is left of its lease: when to come again at the latest.
        lease_left: Duration,
    },
    /// The key was used for another payload.
    #[error("the idempotency key was used for another payload; a new intent needs a new key")]
    KeyReused,
    /// An earlier execution fell silent, and nobody knows how far it came.
    #[error("an earlier execution ended without an outcome; an operator has to resolve it")]
    OutcomeUnknown,
    /// The scope is at a limit: the work did not run, see [`Limits`](crate::Limits).
    #[error(
        "the work did not run because its scope is at its limit of {}; try again in {retry_after:?}",
        limit.name()
    )]
    Limited {
        /// Which one.
        limit: Limit,
        /// When to come again.
        retry_after: Duration,
    },
    /// The store did not take the claim: the work did not run.
    #[error("the work did not run because the store failed")]
    Store(#[from] StoreError),
    /// The work ran in a transaction that has not committed, or of which nobody
    /// knows yet: a retry runs again, or gets the recorded result.
    #[error("the work's transaction has not committed; try again")]
    NotCommitted(#[source] StoreError),
    /// A step of the work had no result, see [`StepsError`](crate::StepsError): a
    /// retry goes on from the last step that was kept.
    #[error("the work had to end at a step, and goes on from there when it is tried again")]
    Stopped(Stop),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The payload cannot be fingerprinted.
    #[error(transparent)]
    Payload(#[from] FingerprintError),
    /// The overrides protect nothing.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The work ran before, but its record cannot be read.
    #[error("the work ran before, but its record cannot be read")]
    Record(#[from] RecordError),
    /// The work ran before, but its result is not of the type asked for, or
    /// could not be serialized when it ran.
    #[error("the work ran before, but its recorded result does not fit the type asked for")]
    Result(#[source] serde_json::Error),
}

impl<E> OnceError<E> {
    /// Whether the same call may succeed later, without anybody doing anything. Not
    /// for a key that was used for something else, and not for what an operator or
    /// the next version has to mend. The work's own error says nothing of that, so
    /// it counts as one that passes.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Work(_)
            | Self::Panicked
            | Self::InProgress { .. }
            | Self::Limited { .. }
            | Self::NotCommitted(_)
            | Self::Stopped(Stop::Store) => true,
            Self::Store(error) => !matches!(
                error,
                StoreError::Corrupt { .. } | StoreError::Unopened { .. }
            ),
            Self::Stopped(Stop::Steps)
            | Self::KeyReused
            | Self::OutcomeUnknown
            | Self::Key(_)
            | Self::Payload(_)
            | Self::Policy(_)
            | Self::Record(_)
            | Self::Result(_) => false,
        }
    }
}

fn keep<T: Serialize, E>(result: Result<T, E>) -> Finish<Result<T, E>> {
    let Ok(value) = &result else {
        return Finish::Release { answer: result };
    };
    let json = serde_json::to_vec(value).unwrap_or_else(|error| {
        // The effect has happened, so the slot is completed all the same: a
        // retry must not run. It meets `OnceError::Result` instead.
        tracing::error!(%error, "the result of once-only work cannot be serialized");
        Vec::new()
    });
    Finish::Record {
        record: Record::Value(Bytes::from(json)).encode(),
        answer: result,
    }
}

fn answer<T: DeserializeOwned, E>(
    execution: Execution<Result<T, E>>,
) -> Result<Once<T>, OnceError<E>> {
    match execution {
        Execution::Ran { answer, stored, .. } => ran(answer, stored == Stored::Recorded),
        Execution::Unprotected { answer } => ran(answer, false),
        Execution::Replayed(replay) => read(&replay),
        Execution::InProgress { lease_left } => Err(OnceError::InProgress { lease_left }),
        Execution::KeyReused => Err(OnceError::KeyReused),
        Execution::OutcomeUnknown => Err(OnceError::OutcomeUnknown),
        Execution::Panicked => Err(OnceError::Panicked),
        Execution::Stopped(stop) => Err(OnceError::Stopped(stop)),
        Execution::Limited { limit, retry_after } => Err(OnceError::Limited { limit, retry_after }),
        Execution::StoreFailed(error) => Err(OnceError::Store(error)),
        Execution::NotCommitted(error) => Err(OnceError::NotCommitted(error)),
    }
}

fn ran<T, E>(answer: Result<T, E>, stored: bool) -> Result<Once<T>, OnceError<E>> {
    Ok(Once {
        value: answer.map_err(OnceError::Work)?,
        replayed: false,
        stored,
    })
}

fn read<T: DeserializeOwned, E>(replay: &Replay) -> Result<Once<T>, OnceError<E>> {
    let Record::Value(json) = Record::decode(&replay.record)? else {
        return Err(RecordError::WrongKind.into());
    };
    Ok(Once {
        value: serde_json::from_slice(&json).map_err(OnceError::Result)?,
        replayed: true,
        stored: true,
    })
}
