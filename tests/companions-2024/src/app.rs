//! The state of the router.

use ::idem_axum::{BuildError, Idempotency, MemoryStore};
use ::std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// What the handlers share.
#[derive(::std::fmt::Debug, ::std::clone::Clone)]
pub struct App {
    idempotency: Idempotency,
    effects: Arc<AtomicU32>,
}

impl App {
    /// A service of its own: nothing has happened in it.
    ///
    /// # Errors
    /// An annotated handler of the program that cannot be served.
    pub fn new() -> ::std::result::Result<Self, BuildError> {
        let idempotency = Idempotency::builder(MemoryStore::new()).build()?;
        let effects = ::std::default::Default::default();
        ::std::result::Result::Ok(Self {
            idempotency,
            effects,
        })
    }

    /// How often a body has run.
    #[must_use]
    pub fn effects(&self) -> u32 {
        self.effects.load(Ordering::Relaxed)
    }

    pub(crate) fn happen(&self) -> u32 {
        self.effects.fetch_add(1, Ordering::Relaxed) + 1
    }
}

// By hand: axum's derive needs `Clone` in scope.
impl ::axum::extract::FromRef<App> for Idempotency {
    fn from_ref(app: &App) -> Self {
        ::std::clone::Clone::clone(&app.idempotency)
    }
}

/// What is asked.
#[derive(::std::fmt::Debug, ::serde::Serialize, ::serde::Deserialize)]
pub(crate) struct Order {
    pub(crate) id: ::std::string::String,
    pub(crate) amount: u32,
}
