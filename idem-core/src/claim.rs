//! The words of a claim: owner, fence, attempt, lease, retention, and how a claim can end.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Fingerprint, Slot, StoreError, random::random};

/// 128 random bits that one request draws for its claim.
///
/// The owner makes the layer's own commands idempotent: a claim whose reply was
/// lost is sent again with the same owner, and the store answers that it is
/// already theirs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerId([u8; 16]);

impl OwnerId {
    /// Draws a new owner from the thread's cryptographic generator.
    #[must_use]
    pub fn random() -> Self {
        Self(random())
    }

    /// An owner read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The owner's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// The fencing token: a number that grows with every claim of a slot. Only the
/// newest may write.
///
/// Fences start at 1 and start over once a slot has been physically deleted;
/// the [`OwnerId`] is checked beside it, so a writer from before the deletion
/// is still refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(u64);

impl Fence {
    /// The fence of a slot's first claim.
    pub const FIRST: Self = Self(1);

    /// A fence read back from a store.
    #[must_use]
    pub const fn from_raw(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The fence of the claim after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long a completed record is promised (`ttl`) and how long it is kept after that (`grace`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The promise: a retry within it gets the recorded answer.
    pub ttl: Duration,
    /// What follows the promise: a retry still gets the recorded answer, marked
    /// as expired. After it the record is physically deleted.
    pub grace: Duration,
}

impl Retention {
    /// `ttl + grace`: when the record is physically deleted.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.ttl.saturating_add(self.grace)
    }
}

/// What becomes of a slot whose owner fell silent for longer than its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCrash {
    /// The next claim with the same fingerprint takes over: the effect happens
    /// *at least once*.
    #[default]
    TakeOver,
    /// Nobody runs it again until an operator has resolved it: the effect
    /// happens *at most once*.
    Refuse,
}

/// What a claim asks of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Which slot.
    pub slot: Slot,
    /// What the request asks.
    pub fingerprint: Fingerprint,
    /// Who claims.
    pub owner: OwnerId,
    /// How long the owner may stay silent.
    pub lease: Duration,
    /// How long the slot is kept if its owner falls silent and nobody comes back.
    pub retention: Retention,
    /// Whether a lapsed claim may be taken over. A slot that was claimed under
    /// [`OnCrash::Refuse`] stays refused whatever a later claim says.
    pub on_crash: OnCrash,
    /// Another name under which the same intent may be stored already. Only a store
    /// that does not [refuse](crate::Store::refuses_alias) it is asked with one.
    pub alias: Option<Alias>,
}

impl ClaimRequest {
    /// The same claim of one of its two names alone.
    #[must_use]
    pub const fn under(self, under: Under) -> Self {
        match (under, self.alias) {
            (Under::Alias, Some(alias)) => Self {
                slot: alias.slot,
                fingerprint: alias.fingerprint,
                alias: None,
                ..self
            },
            _ => Self {
                alias: None,
                ..self
            },
        }
    }

    /// The same claim of that one of its names whose slot this is, alone: what
    /// [`Begun::Claimed`](crate::Begun) has won, as its grant says.
    #[must_use]
    pub fn at(self, slot: Slot) -> Self {
        self.under(match self.alias {
            Some(alias) if alias.slot == slot => Under::Alias,
            _ => Under::Slot,
        })
    }
}

/// Another name of an intent: what its slot and fingerprint are under another
/// secret, see [`RuntimeBuilder::accept_secret`](crate::RuntimeBuilder::accept_secret).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    /// Which slot.
    pub slot: Slot,
    /// What the request asks, as it is stored there.
    pub fingerprint: Fingerprint,
}

/// Which of a claim's two names its answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Under {
    /// [`ClaimRequest::slot`].
    #[default]
    Slot,
    /// [`ClaimRequest::alias`].
    Alias,
}

/// A slot as a claim finds it, see [`Under::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is not there, or physically deleted.
    Absent,
    /// A claim of it alone would win it.
    Free,
    /// A claim of it alone would be told why not.
    Taken,
}

impl Under {
    /// Which of the two slots answers a claim with an alias. To be asked and acted
    /// on in one atomic step:
    ///
    /// - Where only one of them is there, that one.
    /// - Where neither is, the claim's own slot, which is claimed.
    /// - Where both are, which no two neighbouring stages of a rotation lead to: one
    ///   that is taken, so that nothing runs while either is in flight, completed, of
    ///   another fingerprint or of unknown outcome. If both are taken or both are
    ///   free, the alias.
    #[must_use]
    pub const fn of(slot: Found, alias: Found) -> Self {
        match (slot, alias) {
            (_, Found::Absent) | (Found::Taken, Found::Free) => Self::Slot,
            (_, Found::Free | Found::Taken) => Self::Alias,
        }
    }
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The caller owns the slot.
    Claimed(Claimed),
    /// Somebody else owns it and the lease is alive.
    InFlight {
        /// What is left of the lease on the store's clock.
        lease_left: Duration,
    },
    /// The slot belongs to another fingerprint.
    Mismatch,
    /// The slot holds a completed record of the same fingerprint.
    Completed(Completed),
    /// The owner fell silent and taking over is refused: nobody knows whether
    /// the effect happened.
    Unknown,
}

impl Claim {
    /// The same answer about that name.
    #[must_use]
    pub fn found_under(mut self, under: Under) -> Self {
        match &mut self {
            Self::Claimed(claimed) => claimed.under = under,
            Self::Completed(completed) => completed.under = under,
            Self::InFlight { .. } | Self::Mismatch | Self::Unknown => {}
        }
        self
    }
}

/// A claim that was won.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The claim's fencing token.
    pub fence: Fence,
    /// 1 for the first execution, one more for each takeover or re-run.
    pub attempt: u32,
    /// Whether the attempt before this one fell silent, rather than being released.
    pub taken_over: bool,
    /// What earlier attempts have finished.
    pub checkpoints: Vec<Checkpoint>,
    /// Under which of the request's names: the [`Grant`] is of that slot.
    pub under: Under,
}

impl Claimed {
    /// A claim of a slot that was absent, won under its own name.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            fence: Fence::FIRST,
            attempt: 1,
            taken_over: false,
            checkpoints: Vec::new(),
            under: Under::Slot,
        }
    }
}

/// A completed record as a claim finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The bytes that [`complete`](crate::Store::complete) was given.
    pub record: Bytes,
    /// Whether the ttl has passed.
    pub expired: bool,
    /// Time until the ttl passes, or, once it has, until physical deletion.
    pub remaining: Duration,
    /// Under which of the request's names it is stored.
    pub under: Under,
}

/// A finished step of an interrupted execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The step's name, unique within a slot.
    pub name: String,
    /// The step's serialized result.
    pub value: Bytes,
}

/// The proof of a claim, which every later write of its owner shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The claimed slot.
    pub slot: Slot,
    /// Who claimed it.
    pub owner: OwnerId,
    /// The claim's fencing token.
    pub fence: Fence,
}

/// A lease to start anew, see [`Store::renew_many`](crate::Store::renew_many).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// Whose.
    pub grant: Grant,
    /// How long it is from now on.
    pub lease: Duration,
}

impl Renewal {
    /// What each renewal of many has come to alone, as
    /// [`Store::renew_many`](crate::Store::renew_many) answers it.
    ///
    /// # Errors
    /// The last of the errors, if there is nothing else.
    pub fn answers(
        each: impl IntoIterator<Item = Result<Written, StoreError>>,
    ) -> Result<Vec<Option<Written>>, StoreError> {
        let mut failure = None;
        let answers: Vec<_> = each
            .into_iter()
            .map(|answer| answer.map_err(|error| failure = Some(error)).ok())
            .collect();
        match failure {
            Some(error) if answers.iter().all(Option::is_none) => Err(error),
            _ => Ok(answers),
        }
    }
}

/// How a write under a [`Grant`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It is applied, by this call or by an earlier one whose reply was lost.
    Done,
    /// The grant is not the slot's newest: nothing was changed.
    Fenced,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_there_answers_and_of_both_one_that_keeps_the_claim_from_running() {
        use Found::{Absent, Free, Taken};
        for (slot, alias, under) in [
            (Absent, Absent, Under::Slot),
            (Free, Absent, Under::Slot),
            (Taken, Absent, Under::Slot),
            (Absent, Free, Under::Alias),
            (Absent, Taken, Under::Alias),
            (Free, Free, Under::Alias),
            (Free, Taken, Under::Alias),
            (Taken, Free, Under::Slot),
            (Taken, Taken, Under::Alias),
        ] {
            assert_eq!(Under::of(slot, alias), under, "{slot:?}, {alias:?}");
        }
    }

    #[test]
    fn a_claim_of_one_of_its_names_names_nothing_else() {
        let [own, other, foreign] = [1, 2, 3].map(|byte| Slot::from_bytes([byte; 32]));
        let [mine, theirs] = [1, 2].map(|byte| Fingerprint::from_bytes([byte; 32]));
        let request = ClaimRequest {
            slot: own,
            fingerprint: mine,
            owner: OwnerId::from_bytes([9; 16]),
            lease: Duration::from_secs(30),
            retention: Retention {
                ttl: Duration::from_secs(60),
                grace: Duration::ZERO,
            },
            on_crash: OnCrash::Refuse,
            alias: Some(Alias {
                slot: other,
                fingerprint: theirs,
            }),
        };
        let mine = ClaimRequest {
            alias: None,
            ..request
        };
        let theirs = ClaimRequest {
            slot: other,
            fingerprint: theirs,
            ..mine
        };
        assert_eq!(request.under(Under::Slot), mine);
        assert_eq!(request.under(Under::Alias), theirs);
        assert_eq!(request.at(own), mine);
        assert_eq!(request.at(other), theirs);
        assert_eq!(request.at(foreign), mine);
        for under in [Under::Slot, Under::Alias] {
            assert_eq!(mine.under(under), mine);
        }
    }

    #[test]
    fn many_renewals_fail_only_if_there_is_no_answer_to_any() {
        let lost = || Err(StoreError::TimedOut(Duration::ZERO));
        let answers = Renewal::answers([Ok(Written::Done), lost(), Ok(Written::Fenced)]);
        let some = vec![Some(Written::Done), None, Some(Written::Fenced)];
        assert_eq!(answers.unwrap(), some);
        assert!(Renewal::answers([lost(), lost()]).is_err());
        assert_eq!(Renewal::answers([]).unwrap(), []);
    }
}
