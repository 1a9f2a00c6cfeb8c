//! What is asked of a runtime, and what becomes of it.

use std::time::Duration;

use bytes::Bytes;

use super::steps::Stop;
use crate::{Fingerprint, Limit, Operation, ScopeTag, Settings, Slot, StoreError};

/// One intent that arrived: what it is called, what it asks, how it is treated.
///
/// [`Runtime::call`](super::Runtime::call) makes one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// Which endpoint or job: for spans and metrics. The slot contains it already.
    pub operation: Operation,
    /// Its place in the store.
    pub slot: Slot,
    /// Its place by the secret that the runtime accepts beside its own, see
    /// [`Runtime::alias`](super::Runtime::alias).
    pub alias: Option<Slot>,
    /// Whose it is, where [`Limits`](crate::Limits) are set; `None`: nothing limits it.
    pub scope: Option<ScopeTag>,
    /// What it asks. Under a secret, no store sees it as it is here: see
    /// [`SlotDeriver::seal`](crate::SlotDeriver::seal).
    pub fingerprint: Fingerprint,
    /// How it is treated.
    pub settings: Settings,
}

/// What the work says of its own answer.
#[derive(Debug, Clone)]
pub enum Finish<A> {
    /// Keep `record`; every retry gets it.
    Record {
        /// The answer for this caller.
        answer: A,
        /// What a retry gets, see [`Record::encode`](crate::record::Record::encode).
        record: Bytes,
    },
    /// Keep nothing; a retry runs again.
    Release {
        /// The answer for this caller.
        answer: A,
    },
}

/// What became of a call.
#[derive(Debug)]
pub enum Execution<A> {
    /// The work ran.
    Ran {
        /// Its answer.
        answer: A,
        /// 1 for the first execution, one more for each takeover or re-run.
        attempt: u32,
        /// What was kept of it.
        stored: Stored,
    },
    /// The store failed and the call is to [fail open](crate::OnStoreError::FailOpen):
    /// the work ran without protection.
    Unprotected {
        /// Its answer.
        answer: A,
    },
    /// The call was made before: here is the record of its answer. The work
    /// did not run, or ran for so long that another execution took over and
    /// recorded its own answer first.
    Replayed(Replay),
    /// The same call runs now; the work did not run.
    InProgress {
        /// What is left of the other's lease.
        lease_left: Duration,
    },
    /// The key belongs to another payload; the work did not run.
    KeyReused,
    /// An earlier execution fell silent, and [`OnCrash::Refuse`](crate::OnCrash)
    /// says that nobody runs it again; the work did not run.
    OutcomeUnknown,
    /// The work panicked. The slot is released, a retry runs again.
    Panicked,
    /// The work ran in a transaction that has not committed, so nothing has
    /// happened; or (where the error [is ambiguous](StoreError::is_ambiguous))
    /// the database went away before it said whether it had. A retry runs, or gets
    /// the recorded answer. See [`Runtime::execute_in`](super::Runtime::execute_in).
    NotCommitted(StoreError),
    /// A step of the work had no result (see [`StepsError`](crate::StepsError)), so
    /// its answer is not kept: a retry goes on from the last step that was.
    Stopped(Stop),
    /// The scope is at a limit; the work did not run, and the slot holds nothing for
    /// this call. See [`Limits`](crate::Limits).
    Limited {
        /// Which one.
        limit: Limit,
        /// When to come again.
        retry_after: Duration,
    },
    /// The store failed; the work did not run.
    StoreFailed(StoreError),
}

/// What was kept of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Its answer: a retry gets the same.
    Recorded,
    /// Nothing, because the work said so: a retry runs again.
    Released,
    /// Nothing yet: the store does not answer, and is asked again in the
    /// background. Until then a retry is told that the call is in progress.
    Pending,
    /// Nothing: another execution took over, and ended without a record.
    Lost,
}

/// A recorded answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The record's bytes.
    pub record: Bytes,
    /// Whether its ttl has passed.
    pub expired: bool,
}
