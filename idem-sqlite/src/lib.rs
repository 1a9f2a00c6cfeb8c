//! The SQLite store of [idem](https://docs.rs/idem-axum): a file of the machine's own that survives
//! `kill -9` and a restart, and transactions that a handler takes.
//!
//! # One writer
//!
//! SQLite has one writer at a time. Within a process all writes queue for one connection, in the order
//! of their coming; another process is waited for, [`busy_timeout`](SqliteStoreBuilder::busy_timeout) at
//! the most. A handler that takes [`Tx<Sqlite>`](Tx) has the writer for as long as it runs, so keep it
//! short: nobody else's claim is taken meanwhile. Replays are read beside it.
//!
//! A duplicate in the same process is told at once that the first is running; in another process it
//! waits for the writer, and then has the first one's answer.
//!
//! # What is kept
//!
//! The write-ahead log is on, and an answer is on the disk before it is given (`synchronous = FULL`),
//! unless [you say otherwise](SqliteStoreBuilder::may_lose_the_last_writes_with_the_power). The file is
//! made readable and writable by its owner only. Times are those of the machine's clock: if it is set
//! back, leases and records live longer by as much.
//!
//! The bundled SQLite is compiled with the crate, which needs a C compiler.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod either;
mod error;
mod reaper;
mod row;
mod running;
mod schema;
mod statements;
mod store;
mod transactions;

pub use idem_sql::{NameError, OpenTransaction, Tx};
pub use sqlx::Sqlite;

pub use self::{builder::SqliteStoreBuilder, error::SetupError, store::SqliteStore};
