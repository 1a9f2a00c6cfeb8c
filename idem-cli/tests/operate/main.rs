//! `idem inspect`, `list`, `resolve`, `stats` and `purge` as an operator runs them, on real stores.
//!
//! The examples have to be built: `cargo build --all-features --examples`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod looking;
mod opening;
mod over_http;
mod purging;
mod resolving;
mod sealed;
mod service;
mod slots;
mod stores;
mod terminal;
mod tool;
