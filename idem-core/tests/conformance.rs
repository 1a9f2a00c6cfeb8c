//! The memory store is a store: on a paused clock, on a real one with real
//! threads, and (invariant I8) behind networks that lose or repeat every command.
#![cfg(feature = "testing")]

use std::{sync::Arc, time::Duration};

use idem_core::{
    MemoryStore, Store,
    testing::{ChaosStore, Fault, Insisting, TestClock, conformance::Subject},
};

mod on_a_paused_clock {
    use super::*;

    async fn memory() -> Subject<MemoryStore> {
        Subject::new(Arc::new(MemoryStore::new()), TestClock::paused())
    }

    idem_core::conformance!(
        #[tokio::test(start_paused = true)]
        memory
    );
}

mod on_real_threads {
    use super::*;

    async fn memory() -> Subject<MemoryStore> {
        let clock = TestClock::real(Duration::from_millis(100));
        Subject::new(Arc::new(MemoryStore::new()), clock)
    }

    idem_core::conformance!(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        memory
    );
}

/// Every command meets the fault once, and is sent again when its reply is lost.
fn insisting(fault: Fault) -> Subject<impl Store> {
    let chaos = ChaosStore::new(MemoryStore::new());
    let network = chaos.clone();
    let store = Insisting::new(chaos, move |verb| network.plan().next(verb, fault));
    Subject::new(Arc::new(store), TestClock::paused())
}

mod i8_when_every_reply_is_lost_once {
    use super::*;

    async fn store() -> Subject<impl Store> {
        insisting(Fault::FailAfter)
    }

    idem_core::conformance!(
        #[tokio::test(start_paused = true)]
        store
    );
}

mod i8_when_every_command_is_lost_once {
    use super::*;

    async fn store() -> Subject<impl Store> {
        insisting(Fault::LoseCommand)
    }

    idem_core::conformance!(
        #[tokio::test(start_paused = true)]
        store
    );
}

mod i8_when_every_command_arrives_twice {
    use super::*;

    async fn store() -> Subject<impl Store> {
        insisting(Fault::Twice)
    }

    idem_core::conformance!(
        #[tokio::test(start_paused = true)]
        store
    );
}
