//! The runtime: a store, a policy, and everything that is in flight.

mod admit;
mod beside;
mod commands;
mod erased;
mod guard;
mod heartbeat;
mod hold;
mod lease;
mod operate;
mod rescue;
mod run;
mod steps;
mod transact;
mod waiters;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use self::{
    commands::{Commands, Deadlines},
    heartbeat::Heartbeats,
    rescue::Carrier,
    waiters::Waiters,
};
pub use self::{
    lease::Lease,
    run::{Call, Execution, Finish, Replay, Stored},
    steps::{MAX_STEP_NAME_BYTES, MAX_STEPS, MAX_STEPS_BYTES, StepError, Steps, StepsError, Stop},
    transact::Worked,
};
use crate::{
    IdempotencyKey, Operation, Overrides, Policy, PolicyError, Scope, Settings, Slot, SlotDeriver,
    Store, StoreError, Transactions,
};

/// How many unanswered claims are followed up at the same time.
const MAX_SETTLING: usize = 256;

/// Runs work once per slot. Cheap to clone; clones share everything.
///
/// Most users meet it as `idem_axum::Idempotency`, or call
/// [`once`](Self::once) for work outside HTTP.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    slots: SlotDeriver,
    policy: Policy,
    defaults: Settings,
    commands: Commands,
    transactions: Option<Transactions>,
    store_name: &'static str,
    heartbeats: Heartbeats,
    waiters: Waiters,
    carrier: Option<Carrier>,
    tracker: TaskTracker,
    settling: Arc<Semaphore>,
}

impl Runtime {
    /// Starts with a store; everything else has a default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use idem_core::{MemoryStore, Policy, Runtime};
    ///
    /// let runtime = Runtime::builder(MemoryStore::new())
    ///     .namespace("shop")
    ///     .policy(Policy { lease: Duration::from_secs(10), ..Policy::default() })
    ///     .build()?;
    /// # Ok::<(), idem_core::PolicyError>(())
    /// ```
    pub fn builder(store: impl Store) -> RuntimeBuilder {
        RuntimeBuilder {
            transactions: store.transactions(),
            store_name: std::any::type_name_of_val(&store),
            store: Arc::new(store),
            namespace: String::from("idem"),
            secret: None,
            policy: Policy::default(),
            deadlines: Deadlines {
                verb: Duration::from_secs(2),
                attempt: Duration::from_millis(500),
                complete: Duration::from_secs(2),
            },
            carrier: None,
        }
    }

    /// The slot of one key of one caller at one operation, in this runtime's namespace.
    #[must_use]
    pub fn slot(&self, operation: &Operation, scope: &Scope, key: &IdempotencyKey) -> Slot {
        self.inner.slots.slot(operation, scope, key)
    }

    /// The policy's own settings, without any overrides.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.inner.defaults
    }

    /// The settings of an operation that overrides the policy.
    ///
    /// # Errors
    /// [`PolicyError`] when policy and overrides together protect nothing.
    pub fn settings_for(&self, overrides: &Overrides) -> Result<Settings, PolicyError> {
        self.inner.policy.resolve(overrides)
    }

    /// Waits until nothing is in flight, for `deadline` at the most: executions
    /// whose clients have gone, answers that are still being stored, and
    /// everything else that was claimed. Call it after the server has stopped
    /// taking requests.
    ///
    /// What is left when the deadline passes goes on until the process ends;
    /// its leases lapse then.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        let tracker = &self.inner.tracker;
        tracker.close();
        // The answer is in the count, which also sees what began meanwhile.
        let _ = tokio::time::timeout(deadline, tracker.wait()).await;
        let left = tracker.len();
        tracker.reopen();
        if left == 0 {
            Drained::Clean
        } else {
            tracing::warn!(left, "draining ran out of time");
            Drained::Left(left)
        }
    }

    /// The store's transactions, if it has any: what
    /// [`execute_in`](Self::execute_in) needs.
    #[must_use]
    pub fn transactions(&self) -> Option<&Transactions> {
        self.inner.transactions.as_ref()
    }

    /// The type of the store, for messages.
    #[must_use]
    pub fn store_name(&self) -> &'static str {
        self.inner.store_name
    }

    /// Whether the store takes claims now.
    ///
    /// # Errors
    /// What the store says is wrong, or that it did not answer in time.
    pub async fn health(&self) -> Result<(), StoreError> {
        self.inner.commands.health().await
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("slots", &self.inner.slots)
            .field("policy", &self.inner.policy)
            .field("in_flight", &self.inner.tracker.len())
            .finish_non_exhaustive()
    }
}

/// How a [`drain`](Runtime::drain) ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Nothing is in flight.
    Clean,
    /// So many executions were still in flight when the deadline passed.
    Left(usize),
}

/// Builds a [`Runtime`].
#[derive(Clone)]
#[must_use]
pub struct RuntimeBuilder {
    store: Arc<dyn erased::ErasedStore>,
    transactions: Option<Transactions>,
    store_name: &'static str,
    namespace: String,
    secret: Option<Vec<u8>>,
    policy: Policy,
    deadlines: Deadlines,
    carrier: Option<Carrier>,
}

impl RuntimeBuilder {
    /// Separates services that share a store. `"idem"` by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Derives slots with HMAC under `secret`, see [`SlotDeriver::keyed`].
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// How keys are treated where an operation does not say otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How long a claim may take, all its tries together, before the store
    /// counts as unreachable. 2 seconds by default.
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.verb = deadline;
        self
    }

    /// How long one try of a store command may take before it is sent again.
    /// 500 milliseconds by default. A heartbeat may take a sixth of its lease, if
    /// that is longer.
    pub fn store_try_timeout(mut self, timeout: Duration) -> Self {
        self.deadlines.attempt = timeout;
        self
    }

    /// How long a finished execution's answer is held back for its record. Past
    /// it the client gets its answer, and storing goes on in the background.
    /// 2 seconds by default.
    pub fn complete_timeout(mut self, timeout: Duration) -> Self {
        self.deadlines.complete = timeout;
        self
    }

    /// Wraps what is left of an execution when its client has gone, before it
    /// moves to a task of its own.
    ///
    /// The tracing span and subscriber go along by themselves, and so does
    /// every task-local that the work itself sets. A task-local that was set
    /// *around* the work (by a middleware) is gone when the middleware's future
    /// is dropped; `carry` runs while it is being dropped, when tokio still
    /// shows the value, and can set it again:
    ///
    /// ```
    /// use futures_util::FutureExt;
    /// use idem_core::{MemoryStore, Runtime};
    ///
    /// tokio::task_local! { static REQUEST_ID: u64; }
    ///
    /// let runtime = Runtime::builder(MemoryStore::new()).carry(|rest| {
    ///     match REQUEST_ID.try_with(|id| *id) {
    ///         Ok(id) => REQUEST_ID.scope(id, rest).boxed(),
    ///         Err(_) => rest,
    ///     }
    /// });
    /// # let _ = runtime;
    /// ```
    pub fn carry(
        mut self,
        carry: impl Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        self.carrier = Some(Arc::new(carry));
        self
    }

    /// Checks the policy and builds the runtime.
    ///
    /// # Errors
    /// [`PolicyError`] when the policy protects nothing.
    pub fn build(self) -> Result<Runtime, PolicyError> {
        let defaults = self.policy.resolve(&Overrides::NONE)?;
        let slots = match &self.secret {
            Some(secret) => SlotDeriver::keyed(&self.namespace, secret),
            None => SlotDeriver::new(&self.namespace),
        };
        let commands = Commands::new(self.store, self.deadlines);
        Ok(Runtime {
            inner: Arc::new(Inner {
                slots,
                policy: self.policy,
                defaults,
                heartbeats: Heartbeats::new(commands.clone()),
                commands,
                transactions: self.transactions,
                store_name: self.store_name,
                waiters: Waiters::default(),
                carrier: self.carrier,
                tracker: TaskTracker::new(),
                settling: Arc::new(Semaphore::new(MAX_SETTLING)),
            }),
        })
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("namespace", &self.namespace)
            .field("secret", &self.secret.as_ref().map(|_| "<hidden>"))
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
