//! Proof that idem keeps its promises while everything around it fails.
//!
//! - [`history`]: what happened, as clients, executions, processes and a store's log tell it.
//! - [`checker`]: whether that is a history of *one key, one effect, one answer*.
//! - [`sim`]: idem's real runtime over a simulated store, network and clock, with faults from a
//!   seed.
//! - [`nemesis`]: real processes over real stores, while everything fails that can.
//! - [`soak`]: real processes over real stores for a long time, and whether anything grows.
//!
//! The checker is the same for simulated and for real servers. `docs/proof.md` says what is tried,
//! what it has found, and what it does not show.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a proof that cannot go on ends here, and says why"
)]

pub mod checker;
pub mod examples;
pub mod history;
pub mod nemesis;
pub mod sim;
pub mod soak;
