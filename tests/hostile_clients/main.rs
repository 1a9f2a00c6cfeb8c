//! Clients that drip, lie, flood, reset and hang up, over real sockets: nothing runs twice, what is
//! refused does not run, and no slot is touched before a request is whole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod answers;
mod chunks;
mod half_open;
mod heads;
mod raw_h2;
mod resets;
mod server;
