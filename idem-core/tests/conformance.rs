//! The memory store is a store: on a paused clock, on a real one with real
//! threads, and (invariant I8) behind networks that lose or repeat every command.
#![cfg(feature = "testing")]

mod common;

use std::{sync::Arc, time::Duration};

use common::insisting::Insisting;
use idem_core::{
    MemoryStore,
    testing::{Fault, TestClock, conformance::Subject},
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

fn insisting(fault: Fault) -> Subject<Insisting> {
    Subject::new(Arc::new(Insisting::new(fault)), TestClock::paused())
}

mod i8_when_every_reply_is_lost_once {
    use super::*;

    async fn store() -> Subject<Insisting> {
        insisting(Fault::FailAfter)
    }

    idem_core::conformance!(
        #[tokio::test(start_paused = true)]
        store
    );
}

mod i8_when_every_command_is_lost_once {
    use super::*;

    async fn store() -> Subject<Insisting> {
        insisting(Fault::LoseCommand)
    }

    idem_core::conformance!(
        #[tokio::test(start_paused = true)]
        store
    );
}

mod i8_when_every_command_arrives_twice {
    use super::*;

    async fn store() -> Subject<Insisting> {
        insisting(Fault::Twice)
    }

    idem_core::conformance!(
        #[tokio::test(start_paused = true)]
        store
    );
}
