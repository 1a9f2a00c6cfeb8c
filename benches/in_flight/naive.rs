//! What one would write by hand: each lease has a task that sleeps and renews it.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use idem_axum::{OnCrash, Store};
use idem_core::{Claim, ClaimRequest, Fingerprint, Grant, OwnerId, Retention, Slot};
use tokio::{task::JoinSet, time::sleep};

use crate::counting::Counting;

const HOUR: Duration = Duration::from_secs(60 * 60);

pub(crate) struct Naive {
    pub(crate) slots: Vec<Slot>,
    grants: Vec<Grant>,
}

impl Naive {
    pub(crate) async fn claim<S: Store>(store: &Counting<S>, executions: usize) -> Self {
        let grants: Vec<Grant> = stream::iter(0..executions)
            .map(|_| claim(store))
            .buffer_unordered(32)
            .collect()
            .await;
        Self {
            slots: grants.iter().map(|grant| grant.slot).collect(),
            grants,
        }
    }

    /// Renews them until the answer is dropped, evenly over a third of the lease.
    pub(crate) fn renew<S: Store>(&self, store: &Counting<S>, lease: Duration) -> JoinSet<()> {
        let mut renewing = JoinSet::new();
        let executions = u32::try_from(self.grants.len()).unwrap();
        for (place, grant) in (0_u32..).zip(self.grants.clone()) {
            let store = store.clone();
            renewing.spawn(async move {
                sleep(lease / 3 * place / executions).await;
                loop {
                    // It comes again, whatever the answer is.
                    let _ = store.renew(grant, lease).await;
                    sleep(lease / 3).await;
                }
            });
        }
        renewing
    }
}

async fn claim<S: Store>(store: &Counting<S>) -> Grant {
    let request = ClaimRequest {
        slot: Slot::from_bytes(rand::random()),
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: HOUR,
        retention: Retention {
            ttl: 24 * HOUR,
            grace: 24 * HOUR,
        },
        on_crash: OnCrash::TakeOver,
        alias: None,
    };
    match store.claim(request).await.unwrap() {
        Claim::Claimed(claimed) => Grant {
            slot: request.slot,
            owner: request.owner,
            fence: claimed.fence,
        },
        other => panic!("{other:?}"),
    }
}
