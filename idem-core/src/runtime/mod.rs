//! The runtime: a store, a policy, and everything that is in flight.

mod admit;
mod beside;
mod commands;
mod due;
mod erased;
mod execution;
mod guard;
mod heartbeat;
mod hold;
mod lease;
#[cfg(feature = "testing")]
mod leftovers;
mod limits;
mod names;
mod operate;
mod replays;
mod rescue;
mod run;
mod seal;
mod steps;
mod transact;
mod waiters;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

#[cfg(feature = "testing")]
pub use self::leftovers::Leftovers;
#[cfg(any(test, fuzzing))]
pub(crate) use self::steps::checkpoints;
use self::{
    commands::{Commands, Deadlines},
    heartbeat::Heartbeats,
    limits::Gate,
    names::{Names, Secret},
    replays::Replays,
    rescue::Carrier,
    seal::Seals,
    waiters::Waiters,
};
pub use self::{
    execution::{Call, Execution, Finish, Replay, Stored},
    lease::Lease,
    operate::{Inspected, Seal},
    steps::{MAX_STEP_NAME_BYTES, MAX_STEPS, MAX_STEPS_BYTES, StepError, Steps, StepsError, Stop},
    transact::Worked,
};
use crate::{
    Limits, Overrides, Policy, PolicyError, ReplayCache, Settings, Store, StoreError, Transactions,
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
    names: Names,
    policy: Policy,
    defaults: Settings,
    commands: Commands,
    seals: Seals,
    transactions: Option<Transactions>,
    store_name: &'static str,
    heartbeats: Heartbeats,
    /// `None`: nothing is limited.
    gate: Option<Gate>,
    waiters: Waiters,
    /// `None`: every replay is the store's.
    replays: Option<Replays>,
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
            refuses_alias: store.refuses_alias(),
            store: Arc::new(store),
            namespace: String::from("idem"),
            secret: Secret::None,
            accepted: None,
            seals: Seals::default(),
            policy: Policy::default(),
            deadlines: Deadlines {
                verb: Duration::from_secs(2),
                attempt: Duration::from_millis(500),
                complete: Duration::from_secs(2),
            },
            carrier: None,
            limits: Limits::NONE,
            replay_cache: None,
        }
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
            .field("names", &self.inner.names)
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
    refuses_alias: Option<&'static str>,
    secret: Secret,
    accepted: Option<Secret>,
    seals: Seals,
    policy: Policy,
    deadlines: Deadlines,
    carrier: Option<Carrier>,
    limits: Limits,
    replay_cache: Option<ReplayCache>,
}

impl RuntimeBuilder {
    /// Separates services that share a store. `"idem"` by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Derives slots, and the fingerprints that the store sees, with HMAC under
    /// `secret`, see [`SlotDeriver::keyed`](crate::SlotDeriver::keyed). All nodes need
    /// the same; to change it, see [`accept_secret`](Self::accept_secret).
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Secret::Keyed(secret.into());
        self
    }

    /// Accepts what is stored under another secret too: how the secret is changed
    /// while the service runs. One key, one effect, one answer, throughout.
    ///
    /// Each stage is rolled out to *all* nodes before the next begins; nodes of two
    /// neighbouring stages may run beside each other for as long as it takes:
    ///
    /// | stage | the runtime has | what it does with a key |
    /// | --- | --- | --- |
    /// | 1 | `.secret(old)` | stores it under the old secret |
    /// | 2 | `.secret(old).accept_secret(new)` | stores it under the old, unless it is stored under the new |
    /// | 3 | `.secret(new).accept_secret(old)` | stores it under the new, unless it is stored under the old |
    /// | 4 | `.secret(new)` | stores it under the new secret |
    ///
    /// Stage 2 is there so that every node knows the new secret before any of them
    /// stores something under it. **Stage 4 has to wait** until nothing is stored under
    /// the old secret any more: from the moment in which the last node has reached
    /// stage 3, for the longest ttl + grace (and one lease) of all operations. A key
    /// that is retried or runs on under the old secret meanwhile is kept for longer, so
    /// look at `idem_alias_total` (feature `metrics`): it counts the calls that were
    /// answered under the accepted secret, and the time counts from the end of the last that
    /// it has seen. Slots of unknown outcome
    /// ([`OnCrash::Refuse`](crate::OnCrash::Refuse)) have no time: resolve them first.
    /// A node that leaves the old secret too early takes a retry of what is stored under
    /// it for something new, and runs it again.
    ///
    /// To have no secret is a secret in this: from none to the first, stage 2 is
    /// `.accept_secret(first)` alone, and stage 3 is
    /// `.secret(first)` with [`accept_no_secret`](Self::accept_no_secret).
    ///
    /// "Look under both, act on one" is one atomic step of the store, so the store must
    /// be capable of it: all of idem's are but Redis Cluster, where two slots have no
    /// server in common. Until stage 4 a claim may cost more than it did; without an
    /// accepted secret it costs nothing.
    ///
    /// ```
    /// use idem_core::{MemoryStore, Runtime};
    ///
    /// let third_stage = Runtime::builder(MemoryStore::new())
    ///     .secret("the new one")
    ///     .accept_secret("the old one")
    ///     .build()?;
    /// # Ok::<(), idem_core::PolicyError>(())
    /// ```
    pub fn accept_secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.accepted = Some(Secret::Keyed(secret.into()));
        self
    }

    /// Accepts what is stored without a secret too: the third stage of a rotation to
    /// the first secret (or the second stage of one to none), see
    /// [`accept_secret`](Self::accept_secret). One is accepted, the one that is said last.
    pub fn accept_no_secret(mut self) -> Self {
        self.accepted = Some(Secret::None);
        self
    }

    /// Seals what is stored of answers and steps, see [`encryption`](crate::encryption).
    #[cfg(feature = "encryption")]
    #[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
    pub fn encryption(mut self, keyring: crate::encryption::Keyring) -> Self {
        self.seals.keyring = Some(Arc::new(keyring));
        self
    }

    /// Compresses what is stored of answers and steps, see [`Compression`](crate::Compression).
    /// Nothing is compressed by default, and what is compressed is read all the same.
    #[cfg(feature = "compression")]
    #[cfg_attr(docsrs, doc(cfg(feature = "compression")))]
    pub fn compress(mut self, compression: crate::Compression) -> Self {
        self.seals.compression = Some(compression);
        self
    }

    /// How keys are treated where an operation does not say otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How much one scope may take, see [`Limits`]. Nothing is limited by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps recorded answers in this process, so that replaying them takes no round trip,
    /// see [`ReplayCache`]. Nothing is kept by default.
    pub fn replay_cache(mut self, cache: ReplayCache) -> Self {
        self.replay_cache = Some(cache);
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
    /// [`PolicyError`] when the policy protects nothing, or a second secret is to be
    /// accepted over a store that is not capable of it.
    pub fn build(self) -> Result<Runtime, PolicyError> {
        let defaults = self.policy.resolve(&Overrides::NONE)?;
        if let (Some(reason), Some(_)) = (self.refuses_alias, &self.accepted) {
            let store = self.store_name;
            return Err(PolicyError::SecondSecret { store, reason });
        }
        let names = Names::new(&self.namespace, &self.secret, self.accepted.as_ref());
        let commands = Commands::new(self.store, self.deadlines);
        let tracker = TaskTracker::new();
        let gate = Gate::new(self.limits, &commands, &tracker, self.store_name)?;
        Ok(Runtime {
            inner: Arc::new(Inner {
                names,
                policy: self.policy,
                defaults,
                heartbeats: Heartbeats::new(commands.clone()),
                commands,
                gate,
                seals: self.seals,
                transactions: self.transactions,
                store_name: self.store_name,
                waiters: Waiters::default(),
                replays: self.replay_cache.and_then(Replays::new),
                carrier: self.carrier,
                tracker,
                settling: Arc::new(Semaphore::new(MAX_SETTLING)),
            }),
        })
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("namespace", &self.namespace)
            .field("secret", &self.secret)
            .field("accepted", &self.accepted)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
