//! The PostgreSQL store of [idem](https://docs.rs/idem-axum): one table, one statement and one round
//! trip for each verb, the server's clock, and transactions that a handler takes.
//!
//! ```no_run
//! use idem_core::Runtime;
//! use idem_postgres::PostgresStore;
//!
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! let store = PostgresStore::connect("postgres://shop@localhost/shop").await?;
//! store.migrate().await?;
//! let runtime = Runtime::builder(store).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Transactions
//!
//! [`Tx<Postgres>`](Tx) is the transaction in which a handler's own statements and its recorded answer
//! commit together: *exactly once*, for effects in that database. The store's tables must be in the
//! database that the handler writes to. Handlers run at the server's isolation level unless
//! [`PostgresStoreBuilder::isolation`] says otherwise.
//!
//! Handlers have connections of their own
//! ([`transaction_connections`](PostgresStoreBuilder::transaction_connections)), so that heartbeats and
//! records of others do not wait for them; a handler that finds none within the runtime's
//! `store_deadline` is refused with 503.
//!
//! # What it needs of the server
//!
//! - PostgreSQL 12 or later. The suite runs on 15.
//! - Sessions of its own: a pooler in front must pool *sessions*, because statements are prepared and
//!   settings made once for each.
//! - `SELECT`, `INSERT`, `UPDATE` and `DELETE` on its two tables; for [`migrate`](PostgresStore::migrate)
//!   the right to create them.
//! - Its own statements commit durably also where the database's default is `synchronous_commit = off`.
//!   What a failover loses is what the server has acknowledged and not replicated: choose
//!   `synchronous_standby_names` if that is not to be lost. In a transaction effect and record are lost
//!   together, so a retry runs, and is right to.
//! - A vacuum that keeps up: every slot is updated once and deleted once. The table asks for an early
//!   one; expired rows are deleted in small steps by every node.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod either;
mod error;
mod isolation;
mod locks;
mod reaper;
mod row;
mod schema;
mod session;
mod statements;
mod store;
mod transactions;

pub use idem_sql::{NameError, OpenTransaction, Tx};
pub use sqlx::Postgres;

pub use self::{
    builder::PostgresStoreBuilder, error::SetupError, isolation::Isolation, store::PostgresStore,
};
