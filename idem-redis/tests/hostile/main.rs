//! A Redis that lies, and a Redis whose slots somebody has damaged: a typed error in time, nothing
//! that runs twice, and no more memory than what was sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;

mod damaged;
mod liar;
mod lies;
mod memory;
mod redirections;
