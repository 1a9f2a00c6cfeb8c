//! What a protected request costs, in what does not depend on the machine: allocations, and
//! round trips to the store's server. A number that rises here has a reason, or is a mistake.
#![allow(clippy::unwrap_used, reason = "tests")]

mod allocations;
mod instructions;
mod requests;
mod server;
