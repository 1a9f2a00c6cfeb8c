//! A slot as a row, and what it says to a claim.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Claimed, Completed, Cursor, Fence, Fingerprint, Found,
    OnCrash, OwnerId, Page, Resolved, Slot, SlotState, SlotView, Spent, StateKind, StoreError,
    Under,
};

/// The state's number in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum State {
    /// 1
    InFlight = 1,
    /// 2
    Completed = 2,
    /// 3
    Released = 3,
}

/// A slot's row, with every time as what is left of it on the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRow {
    /// 32 bytes.
    pub fingerprint: Vec<u8>,
    /// 16 bytes.
    pub owner: Vec<u8>,
    /// At least 1.
    pub fence: i64,
    /// At least 1.
    pub attempt: i64,
    /// See [`State`].
    pub state: i16,
    /// Whether taking over is refused.
    pub refuse: bool,
    /// Microseconds until the lease lapses or the record expires; negative once it has.
    pub until: Option<i64>,
    /// Microseconds until the row is due for deletion; `None` when it is not.
    pub deleted_in: Option<i64>,
    /// The finished steps, in their order.
    pub steps: Vec<Checkpoint>,
    /// The record of a completed slot.
    pub record: Option<Bytes>,
}

impl SlotRow {
    /// What a claim meets that has not won this row. `None`: the row can be
    /// claimed, so somebody else was quicker, and it is to be asked for again.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub fn meets(self, request: &ClaimRequest) -> Result<Option<Claim>, StoreError> {
        let slot = request.slot;
        if self.fingerprint != request.fingerprint.as_bytes() {
            return Ok(Some(Claim::Mismatch));
        }
        let mine = self.owner == request.owner.as_bytes();
        Ok(match self.state(slot)? {
            State::Completed => {
                let left = self.until.unwrap_or_default();
                let expired = left <= 0;
                let remaining = if expired { self.deleted_in } else { self.until };
                Some(Claim::Completed(Completed {
                    record: self.record(slot)?,
                    expired,
                    remaining: duration(remaining.unwrap_or_default()),
                    under: Under::Slot,
                }))
            }
            State::InFlight if mine => None,
            State::InFlight => match self.until.unwrap_or_default() {
                left if left > 0 => Some(Claim::InFlight {
                    lease_left: duration(left),
                }),
                _ if self.refuse || request.on_crash == OnCrash::Refuse => Some(Claim::Unknown),
                _ => None,
            },
            State::Released if mine => Some(Claim::InFlight {
                lease_left: Duration::ZERO,
            }),
            State::Released => None,
        })
    }

    /// The row as a claim that was won has left it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub fn claimed(
        slot: Slot,
        fence: i64,
        attempt: i64,
        taken_over: bool,
        checkpoints: Vec<Checkpoint>,
    ) -> Result<Claimed, StoreError> {
        Ok(Claimed {
            fence: fence_of(slot, fence)?,
            attempt: attempt_of(slot, attempt)?,
            taken_over,
            checkpoints,
            under: Under::Slot,
        })
    }

    /// Under which of its two names a claim is answered, and what it meets there,
    /// by the rows that there are of them in one snapshot. No claim: it is to be won.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub fn either(
        request: &ClaimRequest,
        rows: impl IntoIterator<Item = (Slot, Self)>,
    ) -> Result<(Under, Option<Claim>), StoreError> {
        let (mut slot, mut alias) = ((Found::Absent, None), (Found::Absent, None));
        for (name, row) in rows {
            let (under, place) = if name == request.slot {
                (Under::Slot, &mut slot)
            } else {
                (Under::Alias, &mut alias)
            };
            *place = match row.meets(&request.under(under))? {
                None => (Found::Free, None),
                Some(claim) => (Found::Taken, Some(claim.found_under(under))),
            };
        }
        let under = Under::of(slot.0, alias.0);
        Ok(match under {
            Under::Slot => (under, slot.1),
            Under::Alias => (under, alias.1),
        })
    }

    /// The slot as operators see it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub fn view(self, slot: Slot) -> Result<SlotView, StoreError> {
        let left = self.until.unwrap_or_default();
        let state = match self.state(slot)? {
            State::InFlight if left > 0 => SlotState::InFlight {
                lease_left: duration(left),
            },
            State::InFlight if self.refuse => SlotState::Unknown,
            State::InFlight => SlotState::Lapsed,
            State::Completed => SlotState::Completed {
                record: self.record(slot)?,
                expired: left <= 0,
            },
            State::Released => SlotState::Released,
        };
        let fingerprint: [u8; 32] = self
            .fingerprint
            .as_slice()
            .try_into()
            .map_err(|_| corrupt(slot, "its fingerprint has not 32 bytes"))?;
        Ok(SlotView {
            slot,
            state,
            fingerprint: Fingerprint::from_bytes(fingerprint),
            fence: fence_of(slot, self.fence)?,
            attempt: attempt_of(slot, self.attempt)?,
            checkpoints: self.steps.into_iter().map(|step| step.name).collect(),
            deleted_in: self.deleted_in.map(duration),
        })
    }

    /// Why an operator's decision about `fence` was not applied to this row.
    /// `None`: it could be, so the row has changed meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub fn unresolved(
        &self,
        slot: Slot,
        fence: Fence,
        operator: &OwnerId,
    ) -> Result<Option<Resolved>, StoreError> {
        let found = fence_of(slot, self.fence)?;
        if self.owner == operator.as_bytes() && found == fence.next() {
            return Ok(Some(Resolved::Done));
        }
        if found != fence {
            return Ok(Some(Resolved::Moved));
        }
        let left = self.until.unwrap_or_default();
        Ok(match self.state(slot)? {
            State::Completed => Some(Resolved::Moved),
            State::InFlight if left > 0 => Some(Resolved::StillOwned {
                lease_left: duration(left),
            }),
            State::InFlight | State::Released => None,
        })
    }

    fn state(&self, slot: Slot) -> Result<State, StoreError> {
        match self.state {
            1 => Ok(State::InFlight),
            2 => Ok(State::Completed),
            3 => Ok(State::Released),
            _ => Err(corrupt(slot, "its state is none that this version knows")),
        }
    }

    fn record(&self, slot: Slot) -> Result<Bytes, StoreError> {
        match &self.record {
            Some(record) => Ok(record.clone()),
            None => Err(corrupt(slot, "it is completed and has no record")),
        }
    }
}

fn fence_of(slot: Slot, fence: i64) -> Result<Fence, StoreError> {
    match u64::try_from(fence) {
        Ok(fence @ 1..) => Ok(Fence::from_raw(fence)),
        _ => Err(corrupt(slot, "its fence is none")),
    }
}

fn attempt_of(slot: Slot, attempt: i64) -> Result<u32, StoreError> {
    match u32::try_from(attempt) {
        Ok(attempt @ 1..) => Ok(attempt),
        _ => Err(corrupt(slot, "its attempt is no number of attempts")),
    }
}

/// What a store holds for `slot` cannot be read.
fn corrupt(slot: Slot, what: &'static str) -> StoreError {
    StoreError::Corrupt {
        slot,
        cause: what.into(),
    }
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// A fence as a parameter. No slot is claimed so often that it does not fit.
#[must_use]
pub fn fence_number(fence: Fence) -> i64 {
    i64::try_from(fence.get()).unwrap_or(i64::MAX)
}

/// A kind of state as a statement of a list names it.
#[must_use]
pub const fn kind_name(kind: StateKind) -> &'static str {
    match kind {
        StateKind::InFlight => "in flight",
        StateKind::Lapsed => "lapsed",
        StateKind::Unknown => "unknown",
        StateKind::Completed => "completed",
        StateKind::Released => "released",
    }
}

/// One page of a list from its slots, which are one more than `limit` where there
/// is another page.
#[must_use]
pub fn page(mut slots: Vec<SlotView>, limit: usize) -> Page {
    let more = slots.len() > limit;
    slots.truncate(limit);
    let last = slots.last().filter(|_| more);
    let next = last.map(|last| Cursor(Bytes::copy_from_slice(last.slot.as_bytes())));
    Page { slots, next }
}

/// A slot read from a row.
///
/// # Errors
/// [`StoreError::Refused`] when it is none.
pub fn slot_of(bytes: Vec<u8>) -> Result<Slot, StoreError> {
    bytes
        .try_into()
        .map(Slot::from_bytes)
        .map_err(|_| StoreError::Refused {
            reason: "the table has a slot that has not 32 bytes".to_owned(),
        })
}

/// A duration as a parameter, in microseconds. What does not fit is as long as
/// fits: 292,000 years, of which a tenth leaves room for sums.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    const LONGEST: i64 = i64::MAX / 10;
    i64::try_from(duration.as_micros()).map_or(LONGEST, |micros| micros.min(LONGEST))
}

/// A meter's row: its sum, and the microseconds until its window ends.
#[must_use]
pub fn spent(total: i64, resets_in: i64) -> Spent {
    Spent {
        total: u64::try_from(total).unwrap_or_default(),
        resets_in: Duration::from_micros(u64::try_from(resets_in).unwrap_or_default()),
    }
}
