//! The store of the simulation is a store.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use idem_core::{
    Store,
    testing::{TestClock, conformance::Subject},
};

async fn simulated() -> Subject<impl Store> {
    Subject::new(Arc::new(idem_proof::sim::store()), TestClock::paused())
}

idem_core::conformance!(
    #[tokio::test(start_paused = true)]
    simulated
);
