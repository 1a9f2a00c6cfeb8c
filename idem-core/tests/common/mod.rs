//! What the tests of the protocol share: a service with one operation, whose
//! effects are counted.
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by tests, each of which uses its part"
)]

pub mod counting;
pub mod kept;
pub mod log;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Call, Execution, FingerprintBuilder, Finish, IdempotencyKey, MemoryStore, Operation, Overrides,
    Policy, Replay, Runtime, RuntimeBuilder, Scope, Stored,
    testing::{ChaosStore, Fault},
};

pub const LEASE: Duration = Duration::from_secs(3);
pub const TTL: Duration = Duration::from_secs(60);
pub const GRACE: Duration = Duration::from_secs(60);

/// A little more than a lease: whoever was silent for so long has lapsed.
pub const LAPSE: Duration = Duration::from_secs(4);

/// How long anything may take, on the paused clock, that is only waited for.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// What can happen to one command such that nobody knows whether it was applied,
/// or how often.
pub const AMBIGUOUS: [Fault; 6] = [
    Fault::FailAfter,
    Fault::HangAfter,
    Fault::LoseCommand,
    Fault::HangBefore,
    Fault::Twice,
    Fault::Late(Duration::from_millis(20)),
];

pub type Chaos = ChaosStore<Arc<MemoryStore>>;
pub type Outcome = Execution<String>;

/// One node of a service, over a store that can be made to fail.
#[derive(Clone)]
pub struct Node {
    pub runtime: Runtime,
    pub store: Chaos,
    effects: Arc<AtomicUsize>,
    pub overrides: Overrides,
}

impl Node {
    pub fn new() -> Self {
        Self::over(ChaosStore::new(Arc::default()))
    }

    pub fn over(store: Chaos) -> Self {
        Self::built(store, |builder| builder)
    }

    pub fn built(store: Chaos, build: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Self {
        let policy = Policy {
            ttl: TTL,
            grace: GRACE,
            lease: LEASE,
            ..Policy::default()
        };
        let builder = Runtime::builder(store.clone()).policy(policy);
        Self {
            runtime: build(builder).build().unwrap(),
            store,
            effects: Arc::default(),
            overrides: Overrides::NONE,
        }
    }

    /// Another process that serves the same operation: the same records and
    /// effects, but a runtime and a connection to the store of its own.
    pub fn peer(&self) -> Self {
        self.peer_built(|builder| builder)
    }

    pub fn peer_built(&self, build: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Self {
        let store = ChaosStore::new(Arc::clone(self.store.inner()));
        Self {
            effects: Arc::clone(&self.effects),
            overrides: self.overrides,
            ..Self::built(store, build)
        }
    }

    pub fn with(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    pub fn effects(&self) -> usize {
        self.effects.load(SeqCst)
    }

    pub fn call(&self, user: &str, key: &str, payload: &str) -> Call {
        let operation = Operation::new("pay");
        let scope = Scope::new("user", user.to_owned()).unwrap();
        let key = IdempotencyKey::new(key).unwrap();
        let mut fingerprint = FingerprintBuilder::new();
        fingerprint.text(payload);
        let settings = self.runtime.settings_for(&self.overrides).unwrap();
        self.runtime
            .call(operation, &scope, &key, fingerprint.finish(), settings)
    }

    /// Pays after `before`; the answer is the number of the effect.
    pub fn pay_after(
        &self,
        call: Call,
        before: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let effects = Arc::clone(&self.effects);
        self.runtime.execute(call, async move {
            before.await;
            let answer = format!("effect {}", effects.fetch_add(1, SeqCst) + 1);
            Finish::Record {
                record: Bytes::from(answer.clone()),
                answer,
            }
        })
    }

    /// Has the effect at once, and answers after `after`.
    pub fn pay_before(
        &self,
        call: Call,
        after: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let effects = Arc::clone(&self.effects);
        self.runtime.execute(call, async move {
            let answer = format!("effect {}", effects.fetch_add(1, SeqCst) + 1);
            after.await;
            Finish::Record {
                record: Bytes::from(answer.clone()),
                answer,
            }
        })
    }

    /// Ana's payment of 5 under `key`.
    pub async fn pay(&self, key: &str) -> Outcome {
        self.pay_after(self.call("ana", key, "5"), async {}).await
    }

    /// Ana's payment of 5 under `key`, which takes so long.
    pub fn pay_slowly(
        &self,
        key: &str,
        time: Duration,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        self.pay_before(self.call("ana", key, "5"), tokio::time::sleep(time))
    }

    /// A payment that fails in a way that is no result.
    pub async fn fail(&self, key: &str) -> Outcome {
        let effects = Arc::clone(&self.effects);
        let work = async move {
            effects.fetch_add(1, SeqCst);
            let answer = String::from("failed");
            Finish::Release { answer }
        };
        self.runtime.execute(self.call("ana", key, "5"), work).await
    }

    /// A payment that panics after its effect.
    pub async fn panic(&self, key: &str) -> Outcome {
        let effects = Arc::clone(&self.effects);
        let work = async move {
            effects.fetch_add(1, SeqCst);
            // A panic without the hook's report, which would fill the screen.
            std::panic::resume_unwind(Box::new("this handler panics on purpose"));
        };
        self.runtime.execute(self.call("ana", key, "5"), work).await
    }

    /// Retries as a client would, until there is something else than "in progress".
    pub async fn pay_until_answered(&self, key: &str) -> Outcome {
        let retrying = async {
            loop {
                match self.pay(key).await {
                    Execution::InProgress { .. } | Execution::StoreFailed(_) => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    outcome => return outcome,
                }
            }
        };
        tokio::time::timeout(PATIENCE, retrying).await.unwrap()
    }
}

/// The answer, the attempt, and what was kept of it.
#[track_caller]
pub fn ran(outcome: &Outcome) -> (&str, u32, Stored) {
    match outcome {
        Execution::Ran {
            answer,
            attempt,
            stored,
        } => (answer, *attempt, *stored),
        other => panic!("it should have run, and is {other:?}"),
    }
}

#[track_caller]
pub fn replayed(outcome: &Outcome) -> &Replay {
    match outcome {
        Execution::Replayed(replay) => replay,
        other => panic!("it should be a replay, and is {other:?}"),
    }
}

#[track_caller]
pub fn in_progress(outcome: &Outcome) -> Duration {
    match outcome {
        Execution::InProgress { lease_left } => *lease_left,
        other => panic!("it should be in progress, and is {other:?}"),
    }
}

/// Waits for a condition on the paused clock, with a deadline.
pub async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("waited in vain");
}
