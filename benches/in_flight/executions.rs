//! Executions that wait for a signal.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Bytes;
use idem_axum::Store;
use idem_core::{
    Execution, FingerprintBuilder, Finish, IdempotencyKey, Operation, Policy, Runtime, Scope, Slot,
    Stored,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::counting::Counting;

/// How many are claimed or recorded at the same time: the store has to answer
/// each within its deadline.
const AT_ONCE: usize = 32;

pub(crate) struct Executions {
    pub(crate) slots: Vec<Slot>,
    running: JoinSet<Execution<()>>,
    signal: Arc<Semaphore>,
    lease: Duration,
    claims_took: Duration,
}

impl Executions {
    /// When it returns, all of them are claimed.
    pub(crate) async fn start<S: Store>(
        store: &Counting<S>,
        lease: Duration,
        executions: usize,
    ) -> Self {
        let policy = Policy {
            lease,
            ..Policy::default()
        };
        let runtime = Runtime::builder(store.clone())
            .namespace(format!("{lease:?}"))
            .policy(policy)
            .build()
            .unwrap();
        let started = Instant::now();
        let claiming = Arc::new(Semaphore::new(AT_ONCE));
        let signal = Arc::new(Semaphore::new(0));
        let mut running = JoinSet::new();
        let mut slots = Vec::with_capacity(executions);
        for number in 0..executions {
            let claim = Arc::clone(&claiming).acquire_owned().await.unwrap();
            let operation = Operation::new("wait");
            let key = IdempotencyKey::new(number.to_string()).unwrap();
            let asked = FingerprintBuilder::new().finish();
            let call = runtime.call(operation, &Scope::GLOBAL, &key, asked, runtime.settings());
            slots.push(call.slot);
            let claim = Arc::new(Mutex::new(Some(claim)));
            let (runtime, signal) = (runtime.clone(), Arc::clone(&signal));
            running.spawn(async move {
                loop {
                    let (claim, signal) = (Arc::clone(&claim), Arc::clone(&signal));
                    let work = async move {
                        drop(claim.lock().unwrap().take());
                        signal.acquire().await.unwrap().forget();
                        Finish::Record {
                            answer: (),
                            record: Bytes::from_static(b"done"),
                        }
                    };
                    match runtime.execute(call.clone(), work).await {
                        // The store had no time for its claim.
                        Execution::StoreFailed(_) | Execution::InProgress { .. } => {
                            sleep(Duration::from_millis(100)).await;
                        }
                        ended => return ended,
                    }
                }
            });
        }
        let all = u32::try_from(AT_ONCE).unwrap();
        drop(claiming.acquire_many(all).await.unwrap());
        Self {
            slots,
            running,
            signal,
            lease,
            claims_took: started.elapsed(),
        }
    }

    /// Lets them end, and says how they did.
    pub(crate) async fn finish(mut self) -> String {
        let started = Instant::now();
        let (mut recorded, mut pending, mut others) = (0, 0, 0);
        self.signal.add_permits(AT_ONCE);
        while let Some(ended) = self.running.join_next().await {
            self.signal.add_permits(1);
            match ended.unwrap() {
                Execution::Ran {
                    stored: Stored::Recorded,
                    ..
                } => recorded += 1,
                Execution::Ran {
                    stored: Stored::Pending,
                    ..
                } => pending += 1,
                _ => others += 1,
            }
        }
        format!(
            "lease {:?}: claimed in {:.1?}, recorded in {:.1?}, {recorded} recorded, \
             {pending} recorded late, {others} fenced or failed",
            self.lease,
            self.claims_took,
            started.elapsed(),
        )
    }
}
