//! Deletes expired rows in the background, for as long as the store is there.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::store::Inner;

/// Small enough that a claim which waits for the writer hardly notices.
const BATCH: u32 = 200;

pub(crate) fn start(inner: &Arc<Inner>, every: Duration) {
    let store = Arc::downgrade(inner);
    tokio::spawn(async move {
        loop {
            sleep(every).await;
            loop {
                let Some(store) = store.upgrade() else { return };
                match store.reap(BATCH).await {
                    Ok(deleted) if deleted >= u64::from(BATCH) => {}
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
