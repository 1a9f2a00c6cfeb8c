//! What the SQL stores of [idem](https://docs.rs/idem-axum) share: `idem-postgres` and `idem-sqlite`.
//!
//! - [`Tx`]: the transaction that a handler takes.
//! - [`Leased`] and [`OpenTransaction`]: connections that are never given back in the middle of
//!   something. [`Connections`]: those that need not go back at all.
//! - [`SlotRow`]: a slot as a row, in the words of the protocol.
//! - [`failure`]: what an error of sqlx means for a verb.
//!
//! For a store over another database of sqlx's; users meet [`Tx`] only.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod connection;
pub mod failure;
mod kept;
mod name;
mod row;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
mod transaction;
mod tx;

pub use self::{
    connection::Leased,
    kept::Connections,
    name::{NameError, checked_name},
    row::{SlotRow, State, fence_number, kind_name, micros, page, slot_of, spent},
    transaction::OpenTransaction,
    tx::{Tx, TxDatabase},
};
