//! What must hold whatever the bytes are: one function for each reader of foreign input, panicking
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

mod canonical;
mod checkpoint;
mod key;
mod record;
mod reference;
mod taken;

pub use self::{canonical::canonical, checkpoint::checkpoint, key::key, record::record};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[cfg(test)]
mod tests;
