//! What must hold whatever a client sends and a record holds: one function for each, panicking
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

mod problem;
mod replay;
mod request;

pub use self::{problem::problem, replay::replay, request::request};

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod kept;
#[cfg(test)]
mod tests;
