//! The PostgreSQL store of [idem](https://docs.rs/idem-axum).
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod error;
mod isolation;
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
