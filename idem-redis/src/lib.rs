//! The Redis and Valkey store of [idem](https://docs.rs/idem-axum): one server, Sentinel, or
//! Cluster, for services of more than one process.
//!
//! ```no_run
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use idem_core::Runtime;
//! use idem_redis::RedisStore;
//!
//! let store = RedisStore::builder("redis-sentinel://s1,s2,s3/mymaster")
//!     .namespace("shop")
//!     .min_replicas(1, Duration::from_millis(100))
//!     .connect()
//!     .await?;
//! let runtime = Runtime::builder(store).build()?;
//! # let _ = runtime;
//! # Ok(()) }
//! ```
//!
//! | URL | what is meant |
//! | --- | --- |
//! | `redis://USER:PASSWORD@HOST:PORT/DATABASE` | one server |
//! | `rediss://…` | the same over TLS (feature `tls`) |
//! | `redis+unix:///PATH` | one server's socket |
//! | `redis-sentinel://HOST:PORT,HOST:PORT/MASTER-NAME` | the master that these sentinels name; `rediss-sentinel://` |
//! | `redis-cluster://HOST:PORT,HOST:PORT` | the cluster that these nodes belong to; `rediss-cluster://` |
//!
//! Redis 6.2 or newer, or any Valkey. `valkey` may stand for `redis` in all of them.
//!
//! # How it works
//!
//! One slot is one key, so a cluster needs no more than one node for a verb. Each verb is one Lua
//! script and one round trip, known to the server by its hash; a server that does not know it (it
//! was restarted, took over from another, or was told to forget) is sent the text. The clock is the
//! server's. What a slot looks like there is written in [`layout`]: `GET` shows it.
//!
//! Commands of all requests share one connection without waiting for each other. A connection that
//! breaks, or is silent for a quarter of a second while it is asked, is replaced; while there is
//! none, verbs fail at once and the runtime asks again within its deadline. **Nothing in this crate
//! or underneath sends a command twice**: a reply that is lost is an
//! [ambiguous](idem_core::StoreError::is_ambiguous) error, and the runtime asks again under the same
//! owner, which is safe. Only what a server has certainly not done (`NOSCRIPT`, `MOVED`, `ASK`) is
//! sent on.
//!
//! While a [secret is rotated](idem_core::RuntimeBuilder::accept_secret), a claim looks at two slots
//! in its one script. Two slots of a cluster may be on two servers, so over a cluster a runtime that
//! accepts a second secret is refused when it is built.
//!
//! # What is checked at the start
//!
//! [`connect`](RedisStore::connect) refuses a server that is too old, is a replica, is not what the
//! URL says, drops records when its memory is full, or denies what is needed ([`SetupError`]); and
//! warns of one that persists nothing or has fewer replicas than it should ([`Hazard`]).
//!
//! An ACL that is enough:
//! `on >PASSWORD ~idem:* +eval +evalsha +get +getrange +set +pexpire +pttl +info +scan`, and
//! `+wait` with `min_replicas`, `+cluster|slots +asking` for a cluster, `+role` behind Sentinel.
//!
//! # Failover
//!
//! Redis answers before its replicas have a write. A failover loses what they did not have yet, and
//! a claim or record that is lost is a handler that may run again. With
//! [`min_replicas`](RedisStoreBuilder::min_replicas) every write waits for replicas; a claim that
//! they do not have in time is withdrawn, and its request is refused with 503 before its handler
//! runs; a record that they do not have is not replayed until they have it. Measured by this crate's tests, on 300 keys under load, with a replication that stalls for
//! the last 200 ms before its master dies (a master that is merely killed on the same machine loses
//! nothing, and shows nothing):
//!
//! | failover of | keys whose handler ran twice, without | with `min_replicas(1, …)` |
//! | --- | --- | --- |
//! | a master under Sentinel | 101 | 0 |
//! | one of three masters of a cluster | 31 | 0 |
//!
//! What it does not promise, because Redis does not:
//!
//! - That the replica that has the write is the one that is promoted. With one replica, or with as
//!   many as there are, it is; with fewer, a failover may choose another, although Redis prefers the
//!   one that has most.
//! - That a replica has it on its disk. It has it in its memory, and in its file as often as its
//!   `appendfsync` says.
//! - That leases end at the same instant on both sides: they are absolute times on each server's own
//!   clock. Keep the clocks together.
//!
//! After a failover the new master may have too few replicas for a while; until it has them every
//! claim is refused. A master that is cut off from its replicas cannot take claims either, which is
//! the point, and the store looks for its successor.
//!
//! On one server the file decides. With `appendonly yes` and `appendfsync always` a server that is
//! killed, or whose machine loses power, has lost nothing that it has answered. With `everysec`, the
//! default, it may lack the last second or two **also when only its process is killed**: while the
//! file is being synced the server answers what it has not written yet (710 of 95,568 answered writes
//! were gone after one of 15 kills here, and none after 15 with `always`). The start warns of it.
//!
//! Leases go on while a server is down. An execution whose lease lapses during an outage may be taken
//! over as soon as the server is back, by whoever comes first; let leases be longer than outages.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod checks;
mod commands;
mod connect;
mod error;
pub mod layout;
mod list;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod reply;
mod scripts;
mod store;
#[cfg(feature = "tls")]
mod tls;

pub use self::{
    builder::RedisStoreBuilder, checks::Hazard, error::SetupError, layout::LayoutError,
    store::RedisStore,
};
