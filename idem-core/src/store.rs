//! The contract of a store.

mod error;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    Checkpoint, Claim, ClaimRequest, Fence, Fingerprint, Grant, OwnerId, Renewal, Retention,
    ScopeTag, Slot, Spent, Transactions, Written,
};

pub use self::error::StoreError;

/// Where slots are kept.
///
/// Every verb is **one atomic step** on the store's side and one round trip,
/// and the store's own clock is the only clock: callers pass durations, never
/// points in time. Every verb can be sent again after its reply was lost and
/// answers as the first one did; the runtime relies on that to retry errors
/// that say nothing about whether the verb was applied.
///
/// # The state of a slot
///
/// | state | what is kept | until |
/// | --- | --- | --- |
/// | absent | nothing | a claim |
/// | in flight | fingerprint, owner, fence, attempt, checkpoints, lease | lease + ttl + grace; for ever under [`OnCrash::Refuse`](crate::OnCrash) |
/// | completed | fingerprint, owner, fence, attempt, record | ttl + grace |
/// | released | fingerprint, owner, fence, attempt, checkpoints | ttl |
///
/// # Writing one
///
/// A store needs `idem-core` alone. What this text leaves open is decided by
/// the conformance suite (`idem_core::testing::conformance`, feature
/// `testing`), which defines the trait: a store that passes it is a store.
/// [`MemoryStore`](crate::MemoryStore) is the one to read first.
pub trait Store: Send + Sync + 'static {
    /// Becomes the owner of a slot, or says why not.
    ///
    /// | slot | same fingerprint | other fingerprint |
    /// | --- | --- | --- |
    /// | absent | `Claimed`, fence 1, attempt 1 | |
    /// | in flight, same owner | `Claimed` as before, lease renewed | `Mismatch` |
    /// | in flight, lease alive | `InFlight` | `Mismatch` |
    /// | in flight, lease lapsed | `Claimed`, fence + 1, attempt + 1, checkpoints; `Unknown` if this claim or the lapsed one says [`OnCrash::Refuse`](crate::OnCrash) | `Mismatch` |
    /// | completed (also past its ttl) | `Completed` | `Mismatch` |
    /// | released | `Claimed`, fence + 1, attempt + 1, checkpoints | `Mismatch` |
    /// | released by the same owner | `InFlight` with nothing left: this is a late copy of a claim that is over, and changes nothing | `Mismatch` |
    ///
    /// A request with an [alias](ClaimRequest::alias) is of two slots: if the alias's
    /// is there, the answer is that slot's, as if it had been asked for alone; if only
    /// the request's own is, or neither, its own slot's. [`Under::of`](crate::Under::of)
    /// is the rule for both, and looking and claiming are one atomic step. The answer
    /// says [under](crate::Under) which name it was found.
    ///
    /// # Errors
    /// [`StoreError`]; `Full` when there is no room for another slot.
    fn claim(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Claim, StoreError>> + Send;

    /// Starts the lease anew. A lapsed lease that nobody took over is renewed too.
    ///
    /// # Errors
    /// [`StoreError`]
    fn renew(
        &self,
        grant: Grant,
        lease: Duration,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// [`renew`](Self::renew) for many grants, of any slots: what a heartbeat of a
    /// process with many executions in flight sends. The answers are in the order
    /// of the renewals; `None` where this one could not be answered this time, and
    /// is asked for again soon.
    ///
    /// Not one atomic step: each renewal is one. By default they are sent one
    /// beside the other, which a connection that many share makes one flight of;
    /// a store whose verbs each take a connection should do it in one statement.
    ///
    /// # Errors
    /// [`StoreError`] if there is no answer at all; each may have been applied.
    fn renew_many(
        &self,
        renewals: &[Renewal],
    ) -> impl Future<Output = Result<Vec<Option<Written>>, StoreError>> + Send {
        async move {
            let asked = renewals
                .iter()
                .map(|renewal| self.renew(renewal.grant, renewal.lease));
            Renewal::answers(futures_util::future::join_all(asked).await)
        }
    }

    /// Keeps the result of one finished step for a later attempt. The same name
    /// again replaces the value.
    ///
    /// # Errors
    /// [`StoreError`]
    fn checkpoint(
        &self,
        grant: Grant,
        step: Checkpoint,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Records the answer. From here on the slot never changes until it is deleted.
    /// Once completed by this grant it is `Done` again, and keeps the first bytes.
    ///
    /// # Errors
    /// [`StoreError`]. Never `Full`: room for a record is a matter of the claim.
    fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Gives the slot back without an answer, so that a retry of the same
    /// request may run. The slot stays for `ttl`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn release(
        &self,
        grant: Grant,
        ttl: Duration,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Shows a slot without changing it; `None` when it is absent.
    ///
    /// # Errors
    /// [`StoreError`]
    fn inspect(
        &self,
        slot: Slot,
    ) -> impl Future<Output = Result<Option<SlotView>, StoreError>> + Send;

    /// Lists slots in an order of the store's choosing. A slot that is there
    /// and unchanged throughout is listed exactly once over all pages.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&self, query: ListQuery) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Ends a slot whose owner is gone, by an operator's decision. `fence` is
    /// the one that [`inspect`](Self::inspect) showed: if the slot has moved on
    /// since, nothing changes and the answer is [`Resolved::Moved`]. The slot's
    /// fence grows, so that the silent owner is fenced should it wake up.
    ///
    /// `operator` makes the verb repeatable, as the owner does for a claim.
    ///
    /// # Errors
    /// [`StoreError`]
    fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> impl Future<Output = Result<Resolved, StoreError>> + Send;

    /// Whether the store can take claims now.
    ///
    /// # Errors
    /// [`StoreError`] says why it cannot.
    fn health(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether it keeps meters: [`spend`](Self::spend) is there. Not, unless it says so.
    fn meters(&self) -> bool {
        false
    }

    /// Adds `bytes` to the meter of a scope, for [`Limits`](crate::Limits). A meter is
    /// no slot: it is not listed, and keeps a sum and nothing else.
    ///
    /// The first of a window starts it at `bytes`, and it ends `window` later. One
    /// that comes with a longer window lengthens it to that length, counted from
    /// its start; a shorter one changes nothing of it. A meter whose window has ended
    /// is as good as absent.
    ///
    /// The one verb that is *not* repeatable: sent twice it counts twice. Nothing
    /// but a limit depends on it, so it need not be as durable as a slot.
    ///
    /// # Errors
    /// [`StoreError`]
    fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> impl Future<Output = Result<Spent, StoreError>> + Send {
        let _ = (tag, bytes, window);
        std::future::ready(Err(StoreError::Refused {
            reason: "it keeps no meters".to_owned(),
        }))
    }

    /// The store's transactions, if its database can hold the work's own writes,
    /// see [`Transactional`](crate::Transactional). None, unless it says so.
    fn transactions(&self) -> Option<Transactions> {
        None
    }

    /// Why it takes no claim with an [alias](ClaimRequest::alias), so that a runtime
    /// over it cannot [accept a second secret](crate::RuntimeBuilder::accept_secret);
    /// `None` where it does. A store refuses unless it says so.
    fn refuses_alias(&self) -> Option<&'static str> {
        Some("it does not look for a key under two names in one step")
    }
}

/// A shared store is that store: keep a handle to what a runtime is built over,
/// or let two runtimes share one.
impl<S: Store> Store for Arc<S> {
    fn claim(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Claim, StoreError>> + Send {
        S::claim(self, request)
    }

    fn renew(
        &self,
        grant: Grant,
        lease: Duration,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send {
        S::renew(self, grant, lease)
    }

    fn renew_many(
        &self,
        renewals: &[Renewal],
    ) -> impl Future<Output = Result<Vec<Option<Written>>, StoreError>> + Send {
        S::renew_many(self, renewals)
    }

    fn checkpoint(
        &self,
        grant: Grant,
        step: Checkpoint,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send {
        S::checkpoint(self, grant, step)
    }

    fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send {
        S::complete(self, grant, record, retention)
    }

    fn release(
        &self,
        grant: Grant,
        ttl: Duration,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send {
        S::release(self, grant, ttl)
    }

    fn inspect(
        &self,
        slot: Slot,
    ) -> impl Future<Output = Result<Option<SlotView>, StoreError>> + Send {
        S::inspect(self, slot)
    }

    fn list(&self, query: ListQuery) -> impl Future<Output = Result<Page, StoreError>> + Send {
        S::list(self, query)
    }

    fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> impl Future<Output = Result<Resolved, StoreError>> + Send {
        S::resolve(self, slot, fence, operator, resolution)
    }

    fn health(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        S::health(self)
    }

    fn meters(&self) -> bool {
        S::meters(self)
    }

    fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> impl Future<Output = Result<Spent, StoreError>> + Send {
        S::spend(self, tag, bytes, window)
    }

    fn transactions(&self) -> Option<Transactions> {
        S::transactions(self)
    }

    fn refuses_alias(&self) -> Option<&'static str> {
        S::refuses_alias(self)
    }
}

/// A slot as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotView {
    /// Which slot.
    pub slot: Slot,
    /// What it is doing.
    pub state: SlotState,
    /// What its request asked.
    pub fingerprint: Fingerprint,
    /// Its newest fence.
    pub fence: Fence,
    /// How many executions it has seen.
    pub attempt: u32,
    /// The names of its checkpoints, in the order they were first written.
    pub checkpoints: Vec<String>,
    /// Time until it is physically deleted; `None` when it is not.
    pub deleted_in: Option<Duration>,
}

/// What a slot is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotState {
    /// Its owner is at work.
    InFlight {
        /// What is left of the lease.
        lease_left: Duration,
    },
    /// Its owner has been silent for longer than its lease, and the next claim
    /// may take over.
    Lapsed,
    /// Its owner has been silent for longer than its lease, and taking over is
    /// refused until an operator has resolved it.
    Unknown,
    /// It holds a record.
    Completed {
        /// The record's bytes.
        record: Bytes,
        /// Whether the ttl has passed.
        expired: bool,
    },
    /// It waits for a retry.
    Released,
}

impl SlotState {
    /// The state without its content.
    #[must_use]
    pub const fn kind(&self) -> StateKind {
        match self {
            Self::InFlight { .. } => StateKind::InFlight,
            Self::Lapsed => StateKind::Lapsed,
            Self::Unknown => StateKind::Unknown,
            Self::Completed { .. } => StateKind::Completed,
            Self::Released => StateKind::Released,
        }
    }
}

/// A [`SlotState`] by name, to filter a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// See [`SlotState::InFlight`].
    InFlight,
    /// See [`SlotState::Lapsed`].
    Lapsed,
    /// See [`SlotState::Unknown`].
    Unknown,
    /// See [`SlotState::Completed`].
    Completed,
    /// See [`SlotState::Released`].
    Released,
}

/// Which slots to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Only slots in this state; `None` for all.
    pub state: Option<StateKind>,
    /// The [`Page::next`] of the page before; `None` for the first.
    pub after: Option<Cursor>,
    /// How many slots at most, at least 1.
    pub limit: usize,
}

/// Where a page of a list ended: the store's own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Bytes);

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The slots.
    pub slots: Vec<SlotView>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

/// What an operator decides about a slot whose owner is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The effect happened: keep this record.
    Complete {
        /// The record's bytes.
        record: Bytes,
        /// How long to keep it.
        retention: Retention,
    },
    /// The effect did not happen: a retry may run.
    Release {
        /// How long the slot is kept for the retry.
        ttl: Duration,
    },
}

/// How [`Store::resolve`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Resolved {
    /// It is applied, by this call or an earlier one whose reply was lost.
    Done,
    /// The slot has another fence, a record, or is gone: nothing was changed.
    Moved,
    /// The owner's lease is alive: nothing was changed.
    StillOwned {
        /// What is left of the lease.
        lease_left: Duration,
    },
}
