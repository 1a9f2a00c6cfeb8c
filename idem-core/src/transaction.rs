//! The handler's own writes and the record in one transaction of the store's database.

mod erased;
mod lent;

use std::{error::Error, future::Future, time::Duration};

use bytes::Bytes;

pub(crate) use self::erased::AnyTransaction;
pub use self::{
    erased::Transactions,
    lent::{Lent, Loan, lend},
};
use crate::{Claim, ClaimRequest, Claimed, Grant, Retention, Store, StoreError};

/// A store whose database can hold the work's own writes, so that they and the
/// record commit together or not at all (invariant I10).
///
/// Nothing of a claim is visible to others before the transaction commits, and
/// nothing is left of it when the process or the database dies: there is no
/// lease, and nothing to take over.
pub trait Transactional: Store {
    /// An open transaction. Dropped, it is rolled back.
    type Transaction: Send + 'static;

    /// Opens a transaction and claims the slot in it, or says why not: see
    /// [`Store::claim`], with these differences.
    ///
    /// A slot that another open transaction has claimed is answered at once, and
    /// not when that transaction ends: with [`Claim::Mismatch`] where its
    /// fingerprint is known to be another, else with [`Claim::InFlight`].
    ///
    /// Of a claim with an [alias](ClaimRequest::alias), no transaction may claim the one
    /// name while another has the other, until that one has ended.
    ///
    /// A future that is dropped leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreError`]. Whatever it is, nothing is claimed.
    fn begin(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Begun<Self::Transaction>, StoreError>> + Send;

    /// Opens a transaction for the work of a claim that was made outside of it, by
    /// [`Store::claim`]: of work with recovery points, whose claim and steps are
    /// committed while its own writes are not. `request` is that claim's.
    ///
    /// A store that answers must let [`Store::renew`] and [`Store::checkpoint`]
    /// write to the slot while the transaction is open, and still complete the slot
    /// in it. By default it refuses.
    ///
    /// A future that is dropped leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreError`]. Whatever it is, no transaction is open.
    fn open(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send {
        let _ = request;
        std::future::ready(Err(StoreError::Refused {
            reason: "its transactions are not opened beside a claim".to_owned(),
        }))
    }

    /// Why [`open`](Self::open) always refuses; `None` where it does not.
    fn refuses_to_open(&self) -> Option<&'static str> {
        Some("its transactions are not opened beside a claim")
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the database chose this transaction to give
    /// way to another; it is rolled back. An error that [is
    /// ambiguous](StoreError::is_ambiguous) says that nobody knows yet whether it
    /// has committed. After any other it is rolled back.
    fn conclude(
        &self,
        transaction: Self::Transaction,
        ending: Ending,
    ) -> impl Future<Output = Result<Concluded, StoreError>> + Send;
}

/// What the work takes as its transaction.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the transaction of an idempotent handler",
    label = "#[idempotent] takes an argument that is called `Tx` for the transaction in which effect and record \
             commit together",
    note = "that is `idem_axum::Tx`, of the features `postgres` and `sqlite`; import another extractor of this name \
            under another one: `use other::Tx as OtherTx`"
)]
pub trait TransactionHandle: Send + Sized + 'static {
    /// The [`Transactional::Transaction`] that it stands for.
    type Transaction: Send + 'static;

    /// What it is called in messages: `Tx<Postgres>`.
    const NAME: &'static str;

    /// The handle to a transaction. Dropped, it gives the transaction back.
    fn new(transaction: Lent<Self::Transaction>) -> Self;

    /// Whether this very error (not its source) says that the database chose the
    /// transaction to give way to another: a serialization failure, a deadlock.
    fn is_conflict(error: &(dyn Error + 'static)) -> bool;
}

/// How [`Transactional::begin`] ended.
#[derive(Debug)]
pub enum Begun<T> {
    /// The slot is the transaction's.
    Claimed(T, Claimed),
    /// It is not, and there is no transaction. Never [`Claim::Claimed`].
    Not(Claim),
}

/// What becomes of the writes that the work has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Writes {
    /// They commit with the record.
    Keep,
    /// They are rolled back, and the record commits alone.
    RollBack,
}

/// What a transaction ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The record is kept, see [`Store::complete`].
    Complete {
        /// The claim.
        grant: Grant,
        /// The record's bytes.
        record: Bytes,
        /// How long to keep it.
        retention: Retention,
        /// What becomes of the work's writes.
        writes: Writes,
    },
    /// The work's writes are rolled back, and the slot waits for a retry, see
    /// [`Store::release`].
    Release {
        /// The claim.
        grant: Grant,
        /// How long the slot is kept for the retry.
        ttl: Duration,
    },
    /// Everything is rolled back, as if the slot had not been claimed.
    Abandon,
}

/// How [`Transactional::conclude`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Concluded {
    /// As it was told to.
    Done,
    /// Somebody else has claimed the slot meanwhile, so everything is rolled back.
    Fenced,
    /// The work has ended the transaction itself (a `COMMIT` of its own), so
    /// nobody knows what became of its writes. The slot is kept, and says
    /// [`Claim::Unknown`] until an operator has resolved it.
    Escaped,
}
