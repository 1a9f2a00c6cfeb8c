//! What a behaviour is tried on.

use std::{any::Any, fmt, sync::Arc};

use crate::testing::TestClock;

/// A store, and how to let time pass on its clock.
pub struct Subject<S> {
    pub(super) store: Arc<S>,
    pub(super) clock: TestClock,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl<S> Subject<S> {
    /// A store whose clock is `clock`.
    pub fn new(store: Arc<S>, clock: TestClock) -> Self {
        Self {
            store,
            clock,
            kept: Vec::new(),
        }
    }

    /// Keeps something until the behaviour has been tried, such as the store's server.
    #[must_use]
    pub fn keeping(mut self, something: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(something));
        self
    }
}

impl<S> fmt::Debug for Subject<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("clock", &self.clock)
            .field("kept", &self.kept.len())
            .finish_non_exhaustive()
    }
}
