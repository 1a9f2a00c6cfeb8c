//! One slot and the steps its state takes. No locks and no clock: every step is told the time.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    Checkpoint, Claim, ClaimRequest, Claimed, Completed, Fence, Fingerprint, Grant, OnCrash,
    OwnerId, Resolution, Resolved, Retention, Slot, SlotState, SlotView, Under, Written,
    clock::after,
};

/// What an entry costs beside its record and checkpoints, in bytes: the struct,
/// its places in the map and in the expiry queue, and the room that both have to
/// grow. `benches/growth` finds 380 to 540, by how long ago they have doubled.
const FIXED_COST: usize = 480;

#[derive(Debug)]
pub(super) struct Entry {
    fingerprint: Fingerprint,
    owner: OwnerId,
    fence: Fence,
    attempt: u32,
    checkpoints: Vec<Checkpoint>,
    /// Whether the newest claim took over from an owner that fell silent.
    taken_over: bool,
    state: State,
    /// When it is physically deleted; `None` while only an operator may end it.
    delete_at: Option<Instant>,
}

#[derive(Debug)]
enum State {
    InFlight {
        lease_until: Instant,
        retention: Retention,
        on_crash: OnCrash,
    },
    Completed {
        record: Bytes,
        expires_at: Instant,
    },
    Released,
}

impl Entry {
    pub(super) fn claimed(request: &ClaimRequest, now: Instant) -> Self {
        let mut entry = Self {
            fingerprint: request.fingerprint,
            owner: request.owner,
            fence: Fence::FIRST,
            attempt: 1,
            checkpoints: Vec::new(),
            taken_over: false,
            state: State::Released,
            delete_at: None,
        };
        entry.hold(request, now);
        entry
    }

    /// Puts the entry in flight for `request`.
    fn hold(&mut self, request: &ClaimRequest, now: Instant) {
        self.owner = request.owner;
        self.state = State::InFlight {
            lease_until: now,
            retention: request.retention,
            on_crash: request.on_crash,
        };
        self.extend(request.lease, now);
    }

    fn extend(&mut self, lease: Duration, now: Instant) {
        if let State::InFlight {
            lease_until,
            retention,
            on_crash,
        } = &mut self.state
        {
            *lease_until = after(now, lease);
            self.delete_at = match on_crash {
                OnCrash::TakeOver => Some(after(*lease_until, retention.total())),
                OnCrash::Refuse => None,
            };
        }
    }

    /// When it may be due for deletion: never later than it is, and no later
    /// than if it were completed now, so that completing it moves nothing.
    pub(super) fn look_at(&self, now: Instant) -> Option<Instant> {
        let delete_at = self.delete_at?;
        Some(match &self.state {
            State::InFlight { retention, .. } => delete_at.min(after(now, retention.total())),
            State::Completed { .. } | State::Released => delete_at,
        })
    }

    pub(super) fn is_deleted(&self, now: Instant) -> bool {
        self.delete_at.is_some_and(|at| at <= now)
    }

    /// What the entry holds in memory, in bytes.
    pub(super) fn cost(&self) -> usize {
        let record = match &self.state {
            State::Completed { record, .. } => record.len(),
            State::InFlight { .. } | State::Released => 0,
        };
        let checkpoints: usize = self
            .checkpoints
            .iter()
            .map(|step| size_of::<Checkpoint>() + step.name.len() + step.value.len())
            .sum();
        FIXED_COST + record + checkpoints
    }

    /// What keeps a claim from winning this entry, if anything does.
    pub(super) fn meets(&self, request: &ClaimRequest, now: Instant) -> Option<Claim> {
        if self.fingerprint != request.fingerprint {
            return Some(Claim::Mismatch);
        }
        let mine = self.owner == request.owner;
        match &self.state {
            State::Completed { record, expires_at } => Some(Claim::Completed(Completed {
                record: record.clone(),
                expired: *expires_at <= now,
                remaining: self.remaining(*expires_at, now),
                under: Under::Slot,
            })),
            // The reply to this very claim was lost.
            State::InFlight { .. } if mine => None,
            State::InFlight { lease_until, .. } if now < *lease_until => Some(Claim::InFlight {
                lease_left: *lease_until - now,
            }),
            State::InFlight { on_crash, .. }
                if OnCrash::Refuse == *on_crash || OnCrash::Refuse == request.on_crash =>
            {
                Some(Claim::Unknown)
            }
            // A copy of a claim that was won, executed and released comes late:
            // nobody listens to its answer, so winning again would only block the slot.
            State::Released if mine => Some(Claim::InFlight {
                lease_left: Duration::ZERO,
            }),
            State::InFlight { .. } | State::Released => None,
        }
    }

    /// Answers a claim of an entry that is there.
    pub(super) fn claim(&mut self, request: &ClaimRequest, now: Instant) -> Claim {
        if let Some(claim) = self.meets(request, now) {
            return claim;
        }
        let in_flight = matches!(self.state, State::InFlight { .. });
        if in_flight && self.owner == request.owner {
            self.extend(request.lease, now);
        } else {
            self.taken_over = in_flight;
            self.fence = self.fence.next();
            self.attempt = self.attempt.saturating_add(1);
            self.hold(request, now);
        }
        self.won()
    }

    fn won(&self) -> Claim {
        Claim::Claimed(Claimed {
            fence: self.fence,
            attempt: self.attempt,
            taken_over: self.taken_over,
            checkpoints: self.checkpoints.clone(),
            under: Under::Slot,
        })
    }

    fn remaining(&self, expires_at: Instant, now: Instant) -> Duration {
        let end = if expires_at <= now {
            self.delete_at.unwrap_or(expires_at)
        } else {
            expires_at
        };
        end.saturating_duration_since(now)
    }

    fn is_held_by(&self, grant: &Grant) -> bool {
        self.owner == grant.owner && self.fence == grant.fence
    }

    /// Whether `grant` is the newest and its execution goes on.
    fn is_in_flight_for(&self, grant: &Grant) -> bool {
        self.is_held_by(grant) && matches!(self.state, State::InFlight { .. })
    }

    pub(super) fn renew(&mut self, grant: &Grant, lease: Duration, now: Instant) -> Written {
        if !self.is_in_flight_for(grant) {
            return Written::Fenced;
        }
        self.extend(lease, now);
        Written::Done
    }

    pub(super) fn checkpoint(&mut self, grant: &Grant, step: Checkpoint) -> Written {
        if !self.is_in_flight_for(grant) {
            return Written::Fenced;
        }
        match self
            .checkpoints
            .iter_mut()
            .find(|known| known.name == step.name)
        {
            Some(known) => known.value = step.value,
            None => self.checkpoints.push(step),
        }
        Written::Done
    }

    pub(super) fn complete(
        &mut self,
        grant: &Grant,
        record: Bytes,
        retention: Retention,
        now: Instant,
    ) -> Written {
        if !self.is_held_by(grant) {
            return Written::Fenced;
        }
        match self.state {
            State::InFlight { .. } => {
                self.finish(record, retention, now);
                Written::Done
            }
            // The reply to this very verb was lost.
            State::Completed { .. } => Written::Done,
            State::Released => Written::Fenced,
        }
    }

    fn finish(&mut self, record: Bytes, retention: Retention, now: Instant) {
        // A record is the answer to every retry: no attempt will need the steps again.
        self.checkpoints = Vec::new();
        let expires_at = after(now, retention.ttl);
        self.delete_at = Some(after(expires_at, retention.grace));
        self.state = State::Completed { record, expires_at };
    }

    pub(super) fn release(&mut self, grant: &Grant, ttl: Duration, now: Instant) -> Written {
        if !self.is_held_by(grant) {
            return Written::Fenced;
        }
        match self.state {
            State::InFlight { .. } => {
                self.let_go(ttl, now);
                Written::Done
            }
            State::Released => Written::Done,
            State::Completed { .. } => Written::Fenced,
        }
    }

    fn let_go(&mut self, ttl: Duration, now: Instant) {
        self.delete_at = Some(after(now, ttl));
        self.state = State::Released;
    }

    pub(super) fn resolve(
        &mut self,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
        now: Instant,
    ) -> Resolved {
        if self.owner == operator && self.fence == fence.next() {
            return Resolved::Done;
        }
        if self.fence != fence {
            return Resolved::Moved;
        }
        match &self.state {
            State::Completed { .. } => return Resolved::Moved,
            State::InFlight { lease_until, .. } if now < *lease_until => {
                return Resolved::StillOwned {
                    lease_left: *lease_until - now,
                };
            }
            State::InFlight { .. } | State::Released => {}
        }
        self.owner = operator;
        self.fence = fence.next();
        match resolution {
            Resolution::Complete { record, retention } => self.finish(record, retention, now),
            Resolution::Release { ttl } => self.let_go(ttl, now),
        }
        Resolved::Done
    }

    pub(super) fn view(&self, slot: Slot, now: Instant) -> SlotView {
        SlotView {
            slot,
            state: match &self.state {
                State::InFlight { lease_until, .. } if now < *lease_until => SlotState::InFlight {
                    lease_left: *lease_until - now,
                },
                State::InFlight {
                    on_crash: OnCrash::Refuse,
                    ..
                } => SlotState::Unknown,
                State::InFlight { .. } => SlotState::Lapsed,
                State::Completed { record, expires_at } => SlotState::Completed {
                    record: record.clone(),
                    expired: *expires_at <= now,
                },
                State::Released => SlotState::Released,
            },
            fingerprint: self.fingerprint,
            fence: self.fence,
            attempt: self.attempt,
            checkpoints: self
                .checkpoints
                .iter()
                .map(|step| step.name.clone())
                .collect(),
            deleted_in: self.delete_at.map(|at| at.saturating_duration_since(now)),
        }
    }
}
