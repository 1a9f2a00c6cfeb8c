//! What the handlers share.

use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Arc,
};

use axum::extract::FromRef;
use safe::{BuildError, Idempotency, MemoryStore};

use crate::User;

/// The state of the router.
#[derive(Debug, Clone, FromRef)]
pub struct App {
    /// Remembers what was answered.
    idempotency: Idempotency,
    /// Remembers what was done.
    effects: Effects,
}

impl App {
    /// A service of its own: nothing has happened in it.
    ///
    /// # Errors
    /// An annotated handler of the program that cannot be served.
    pub fn new() -> Result<Self, BuildError> {
        let idempotency = Idempotency::builder(MemoryStore::new())
            .scope("user", |parts| User::of(parts).map(|user| user.id))
            .build()?;
        Ok(Self {
            idempotency,
            effects: Effects::default(),
        })
    }

    /// What has happened in this service.
    #[must_use]
    pub const fn effects(&self) -> &Effects {
        &self.effects
    }
}

/// Counts what has really happened, however often it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Effects(Arc<AtomicUsize>);

impl Effects {
    /// Lets one more happen, and says how many there are now.
    #[must_use]
    pub fn happen(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
