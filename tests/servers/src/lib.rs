//! Real `redis-server` and `postgres` processes for integration tests, and a proxy that breaks their
//! connections.
//!
//! | | |
//! |---|---|
//! | [`Redis`] | one Redis server: start, stop, kill, restart, ask |
//! | [`Replicated`] | a master and its replicas |
//! | [`Sentinels`] | a master, its replicas and three sentinels that watch over them |
//! | [`Cluster`] | three masters and their replicas |
//! | [`Postgres`] | one PostgreSQL server: start, stop, kill, restart, kill one backend, ask |
//! | [`Proxy`] | stands in front of a server: loses replies, cuts, delays the replication |
//! | [`Process`] | a process that is never left behind, however the test ends |
//! | [`ports`] | ports that no other test takes |
//! | [`until`] | waits for a condition, with a deadline |
//!
//! All of it is test support: what goes wrong panics, with the end of the server's log.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a test that cannot go on ends here, and says why"
)]

mod cluster;
mod config;
pub mod ports;
mod postgres;
mod process;
mod programs;
mod proxy;
mod redis;
mod replicated;
mod sentinel;
mod slots;
mod waiting;

pub use self::redis::Redis;
pub use cluster::{Cluster, ClusterOptions, Node};
pub use postgres::Postgres;
pub use process::{Process, State};
pub use proxy::Proxy;
pub use replicated::Replicated;
pub use sentinel::{SentinelOptions, Sentinels};
pub use slots::slot_of;
pub use waiting::until;
