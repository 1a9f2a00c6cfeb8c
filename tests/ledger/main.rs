//! Invariant I10, over HTTP: whatever dies when, a transfer and its record commit
//! together or not at all. Real processes, a real PostgreSQL, a real file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;

mod bank;
mod crowd;
mod killed_backend;
mod killed_service;
mod payouts;
