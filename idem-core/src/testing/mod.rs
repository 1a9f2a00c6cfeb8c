//! What it takes to trust a store, and to break one on purpose (feature `testing`).
//!
//! - [`conformance`]: the behaviours that define [`Store`](crate::Store), for every store of
//!   anybody's to run against its real server.
//! - [`ChaosStore`]: a store around another that delays, fails, loses replies and hangs, by a
//!   script or by a seed.
//! - [`Insisting`]: a store around another that is asked until it answers.
//! - [`Seeded`]: a seed for what the runtime draws, so that a test can be played again.
//! - [`Stages`]: two nodes in the middle of a rotation of the secret.
//! - [`TestClock`]: how a test lets time pass on its store's clock.
//!
//! ```
//! use std::time::Duration;
//! use idem_core::{MemoryStore, OnceError, Runtime, Scope};
//! use idem_core::testing::{ChaosStore, Fault, Verb};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = ChaosStore::new(MemoryStore::new());
//! let runtime = Runtime::builder(store.clone()).build()?;
//! let send = || async { Ok::<_, std::io::Error>("sent".to_owned()) };
//!
//! // The reply to the claim is lost. It is asked for again, and the work runs once.
//! store.plan().next(Verb::Claim, Fault::FailAfter);
//! let sent = runtime.once("mail", &Scope::GLOBAL, "k-1", &(), send).await?;
//! assert!(!sent.replayed);
//! assert_eq!(store.plan().calls(Verb::Claim), 2);
//!
//! // A store that cannot be reached: the work does not run.
//! store.plan().always(Verb::Claim, Fault::FailBefore);
//! let refused = runtime.once("mail", &Scope::GLOBAL, "k-2", &(), send).await;
//! assert!(matches!(refused, Err(OnceError::Store(_))));
//! # Ok(())
//! # }
//! ```

mod chaos;
mod clock;
pub mod conformance;
mod insisting;
mod stages;

pub use self::{
    chaos::{ChaosStore, Fault, InjectedFault, Odds, Plan, Verb},
    clock::TestClock,
    insisting::{Insisting, insist},
    stages::Stages,
};
pub use crate::{random::seeded::Seeded, runtime::Leftovers};
