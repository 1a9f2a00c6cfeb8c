//! The SQLite store of [idem](https://docs.rs/idem-axum).
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
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
