//! What must hold whatever a server answers and keeps: one function for each kind of it, panicking
//! where it does not hold.
//!
//! The targets in `fuzz/` run them on what a fuzzer finds, the tests here on random bytes and on
//! the corpus that the fuzzer has left behind.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "for tests and fuzzers"
)]

mod layout;
mod reply;

pub use self::{layout::layout, reply::reply};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[cfg(test)]
mod tests;
