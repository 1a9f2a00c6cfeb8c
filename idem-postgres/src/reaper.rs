//! Deletes expired rows in the background, for as long as the store is there.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{builder::Reap, store::Inner};

pub(crate) fn start(inner: &Arc<Inner>, reap: Reap) {
    let store = Arc::downgrade(inner);
    tokio::spawn(async move {
        loop {
            sleep(jittered(reap.every)).await;
            // As long as there is more, in small steps, each of which lets others in.
            loop {
                let Some(store) = store.upgrade() else { return };
                match store.reap(reap.batch).await {
                    Ok(deleted) if deleted >= u64::from(reap.batch) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "expired slots could not be deleted, trying again later");
                        break;
                    }
                }
            }
        }
    });
}

/// So that nodes which were started together do not all come at once.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.5..1.5))
}
