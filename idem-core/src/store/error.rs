//! Why a store did not do what it was asked.

use std::{error::Error as StdError, time::Duration};

use crate::{Slot, record::OpenError};

type Cause = Box<dyn StdError + Send + Sync>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was sent: the verb was certainly not applied.
    #[error("the store cannot be reached")]
    Unreachable(#[source] Cause),
    /// The reply is lost: the verb may or may not have been applied.
    #[error("the store's reply was lost")]
    Interrupted(#[source] Cause),
    /// No reply in time: the verb may or may not have been applied.
    #[error("the store did not answer within {0:?}")]
    TimedOut(Duration),
    /// There is no room for another slot. Nothing was changed.
    #[error(
        "the store is full: {limit} {unit} are in use and none may be dropped yet; raise the limit or shorten the ttl"
    )]
    Full {
        /// The limit that was met.
        limit: u64,
        /// What it counts: `"slots"` or `"bytes"`.
        unit: &'static str,
    },
    /// Too few replicas of the store had the claim in time. It is being withdrawn,
    /// and is not to be sent again: the withdrawal would end what it wins. One that
    /// fails leaves a lease that lapses.
    #[error(
        "{reached} of {wanted} replicas have the claim, so it is withdrawn; look at the replicas, or ask for fewer"
    )]
    Underreplicated {
        /// How many must have it.
        wanted: u32,
        /// How many had it in time.
        reached: u32,
    },
    /// The database chose this transaction to give way to another: a
    /// serialization failure, a deadlock. It is rolled back, and nothing was changed.
    #[error("the transaction gave way to another one")]
    Conflict(#[source] Cause),
    /// The store refuses the verb, and will refuse it again. Nothing was changed.
    #[error("the store refuses: {reason}")]
    Refused {
        /// Why, and what to do about it.
        reason: String,
    },
    /// What the store holds cannot be read. Nothing was changed.
    #[error("what the store holds for {slot:?} cannot be read")]
    Corrupt {
        /// Which slot.
        slot: Slot,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
    /// What the store holds does not open, see `idem_core::encryption` and
    /// `idem_core::Compression`. It is not
    /// the store that says so, but the runtime above it. Nothing was changed.
    #[error("what the store holds for {slot:?} cannot be opened")]
    Unopened {
        /// Which slot.
        slot: Slot,
        /// What is wrong with it.
        #[source]
        cause: Box<OpenError>,
    },
    /// What should be kept could not be sealed, so nothing was sent.
    #[error("what should be kept could not be sealed, so the store was not asked to keep it")]
    Unsealed(#[source] Cause),
}

impl StoreError {
    /// Whether the same verb, sent again, may be answered.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Interrupted(_) | Self::TimedOut(_)
        )
    }

    /// Whether the verb may have been applied although it failed.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Interrupted(_) | Self::TimedOut(_))
    }
}
