//! How much of a service one scope may take.

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::Duration,
};

/// How much one scope (one user, one tenant) may take of a service that all of
/// them share. Without limits, which is the default, nothing is counted.
///
/// A call that would start an execution beyond a limit ends with
/// [`Execution::Limited`](crate::Execution::Limited), before it reaches the store.
/// **A retry is not refused because of a limit:** at the limit the slot is looked at
/// first, and what is there is answered as ever (a record is replayed, an
/// execution is in progress or waited for, another payload is a reused key). Only a
/// call that would *run* is refused: of a slot that is absent, released, or whose
/// owner has lapsed.
///
/// ```
/// use idem_core::{Limits, MemoryStore, Runtime};
///
/// let runtime = Runtime::builder(MemoryStore::new())
///     .limits(Limits {
///         live_claims: Some(16),
///         stored_bytes: Some(64 << 20),
///     })
///     .build()?;
/// # Ok::<(), idem_core::PolicyError>(())
/// ```
///
/// # What is one scope
///
/// One value of one kind of scope: `user` ana. All operations of the runtime count
/// together. The scope "global" is *one* scope, so its limit is everybody's; so are
/// calls without a key (where it is optional) to a handler that takes a
/// transaction, which run under a key that nobody has. Other calls without a key
/// are not protected, and not limited.
///
/// # `live_claims`
///
/// *Exact, for each process.* At no time has a process more claims of one scope
/// that it owns, or that are on their way, than this; a claim counts until its
/// outcome is stored, whatever became of its client, and an execution that runs
/// without protection (a store that [fails open](crate::OnStoreError::FailOpen))
/// counts like one. Duplicates that wait are no claims. `n` processes have `n`
/// times as many.
///
/// # `stored_bytes`
///
/// *A budget for each window of time, across all processes.* When an outcome has
/// been decided, its bytes are added to the scope's meter in the store: what stays
/// there of the slot (the record, or the recovery points of a released slot) and
/// [`SLOT_BYTES`] for the slot itself. A window is as long as the longest ttl +
/// grace of what was stored in it; a meter that is past it starts anew. A
/// process that reads of a scope that has spent its budget starts no execution
/// of it until the window ends.
///
/// So, where `k` is how many different ttl + grace the operations have, a scope's
/// slots hold at no time more than `k + 1` budgets (two, if they all have the
/// same), and beyond them only
///
/// - the answers of executions that were in flight when the budget ran out, and in
///   each process the one answer with which it finds that out; so set
///   `live_claims` too;
/// - what the store did not count. The meter is told once, beside the outcome
///   and without holding it up; an answer is not lost because the meter is
///   down. Nor is a slot counted whose process died before it could say anything.
///
/// Records and results of steps count with their plain length: neither what sealing adds
/// nor what compressing saves is counted. Recovery points that an earlier attempt has left
/// count as they are stored.
///
/// A retry of a released slot counts again. What the store itself needs around a
/// slot (indexes, pages, a replica's copy) is for [`SLOT_BYTES`] to stand for, and
/// not measured.
///
/// Behind a new secret or namespace every meter begins at zero. The store must
/// keep meters, see [`Store::meters`](crate::Store::meters); all those of idem do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many executions of one scope are in flight in one process at the most.
    pub live_claims: Option<u32>,
    /// How many bytes one scope may store in one window.
    pub stored_bytes: Option<u64>,
}

impl Limits {
    /// Nothing is limited.
    pub const NONE: Self = Self {
        live_claims: None,
        stored_bytes: None,
    };

    pub(crate) const fn is_none(&self) -> bool {
        self.live_claims.is_none() && self.stored_bytes.is_none()
    }
}

/// What a slot counts beside its record and recovery points, in bytes: its
/// columns or header, the store's own overhead, and a place in an index.
pub const SLOT_BYTES: u64 = 512;

/// A limit that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`Limits::live_claims`]
    LiveClaims,
    /// [`Limits::stored_bytes`]
    StoredBytes,
}

impl Limit {
    /// `"live-claims"` or `"stored-bytes"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LiveClaims => "live-claims",
            Self::StoredBytes => "stored-bytes",
        }
    }
}

/// The name of a scope's meter in a store: 16 bytes from which the user cannot be
/// read, see [`SlotDeriver::scope_tag`](crate::SlotDeriver::scope_tag).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScopeTag([u8; 16]);

impl ScopeTag {
    /// A tag read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The tag's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Hash for ScopeTag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A tag is itself a digest: half of it spreads as well as all.
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Debug for ScopeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "ScopeTag({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

/// What a meter says after [`Store::spend`](crate::Store::spend).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// What was spent in this window, in bytes.
    pub total: u64,
    /// Until the window ends and the meter starts anew.
    pub resets_in: Duration,
}
