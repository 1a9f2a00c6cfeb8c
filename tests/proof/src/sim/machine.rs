//! The store of the simulation: each command is one step of a state machine that can be
//! copied, and therefore restored.
//!
//! It is written from the contract of [`Store`](idem_core::Store) and passes its conformance
//! suite; it shares nothing with the memory store.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Claimed, Completed, Cursor, Fence, Fingerprint, Grant,
    ListQuery, OnCrash, OwnerId, Page, Renewal, Resolution, Resolved, Retention, Slot, SlotState,
    SlotView, Under, Written,
};

/// A way in which a store can be wrong, for proving that the checker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// A completion is taken from anybody.
    NoFenceOnComplete,
    /// The time of a slot goes on while it is in flight.
    ExpiryDeletesInFlight,
    /// A claim reads, and a moment later writes.
    ClaimGetThenSet,
    /// A repeated claim is taken for somebody else's.
    ClaimIgnoresOwner,
    /// A release is taken from anybody.
    ReleaseWithoutFence,
    /// The payload is not compared.
    MismatchIgnored,
    /// A second completion replaces the record.
    CompletedOverwritten,
    /// The scope is not in the slot.
    ScopeBlind,
}

/// A command, as it travels.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Claim(ClaimRequest),
    Renew(Vec<Renewal>),
    Checkpoint(Grant, Checkpoint),
    Complete(Grant, Bytes, Retention),
    Release(Grant, Duration),
    Inspect(Slot),
    List(ListQuery),
    Resolve(Slot, Fence, OwnerId, Resolution),
    Health,
}

/// Its answer.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Claim(Claim),
    Renewed(Vec<Written>),
    Written(Written),
    View(Option<SlotView>),
    Page(Page),
    Resolved(Resolved),
    Healthy,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    slots: BTreeMap<[u8; 32], Held>,
    pub(super) defect: Option<Defect>,
}

/// What is kept of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    asks: Fingerprint,
    last: OwnerId,
    fence: u64,
    attempt: u32,
    steps: Vec<Checkpoint>,
    after_silence: bool,
    phase: Phase,
    /// For ever, if there is no time.
    until: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Running {
        lease_ends: Duration,
        retention: Retention,
        refuse: bool,
    },
    Done {
        record: Bytes,
        ttl_ends: Duration,
    },
    Free,
}

/// What a claim makes of a slot.
enum Outcome {
    Answer(Claim),
    Take(Held),
}

impl Machine {
    /// Applies a command. Slots whose time is over are deleted first, if they are touched:
    /// `deleted` is told.
    pub(super) fn apply(
        &mut self,
        request: &Request,
        now: Duration,
        deleted: &mut Vec<Slot>,
    ) -> Reply {
        match request {
            Request::Claim(claim) => {
                let (reply, write) = self.claim(claim, now, deleted);
                if let Some(held) = write {
                    self.put(claim.slot, held);
                }
                Reply::Claim(reply)
            }
            Request::Renew(renewals) => {
                let each = renewals.iter();
                let each = each.map(|it| self.renew(&it.grant, it.lease, now, deleted));
                Reply::Renewed(each.collect())
            }
            Request::Checkpoint(grant, step) => {
                Reply::Written(self.checkpoint(grant, step, now, deleted))
            }
            Request::Complete(grant, record, retention) => {
                Reply::Written(self.complete(grant, record, *retention, now, deleted))
            }
            Request::Release(grant, ttl) => Reply::Written(self.release(grant, *ttl, now, deleted)),
            Request::Inspect(slot) => {
                let held = self.look(*slot, now, deleted);
                Reply::View(held.map(|held| held.view(*slot, now)))
            }
            Request::List(query) => Reply::Page(self.list(query, now)),
            Request::Resolve(slot, fence, operator, resolution) => {
                let held = self.look(*slot, now, deleted);
                Reply::Resolved(held.map_or(Resolved::Moved, |held| {
                    held.resolve(*fence, *operator, resolution, now)
                }))
            }
            Request::Health => Reply::Healthy,
        }
    }

    /// Answers a claim, and says what is to be written because of it.
    pub(super) fn claim(
        &mut self,
        claim: &ClaimRequest,
        now: Duration,
        deleted: &mut Vec<Slot>,
    ) -> (Claim, Option<Held>) {
        let defect = self.defect;
        let outcome = match self.look(claim.slot, now, deleted) {
            None => Outcome::Take(Held::first(claim, now)),
            Some(held) => held.claim(claim, now, defect),
        };
        match outcome {
            Outcome::Answer(answer) => (answer, None),
            Outcome::Take(mut held) => {
                if defect == Some(Defect::ExpiryDeletesInFlight) {
                    held.until = Some(now + claim.lease / 2);
                }
                (held.won(), Some(held))
            }
        }
    }

    pub(super) fn put(&mut self, slot: Slot, held: Held) {
        self.slots.insert(*slot.as_bytes(), held);
    }

    fn look(&mut self, slot: Slot, now: Duration, deleted: &mut Vec<Slot>) -> Option<&mut Held> {
        let is_over = |held: &Held| held.until.is_some_and(|until| until <= now);
        if self.slots.get(slot.as_bytes()).is_some_and(is_over) {
            self.slots.remove(slot.as_bytes());
            deleted.push(slot);
        }
        self.slots.get_mut(slot.as_bytes())
    }

    fn renew(
        &mut self,
        grant: &Grant,
        lease: Duration,
        now: Duration,
        deleted: &mut Vec<Slot>,
    ) -> Written {
        let keeps_time = self.defect == Some(Defect::ExpiryDeletesInFlight);
        let held = self.look(grant.slot, now, deleted);
        match held.filter(|held| held.is_running_for(grant)) {
            Some(held) => {
                let until = held.until;
                held.extend(lease, now);
                if keeps_time {
                    held.until = until;
                }
                Written::Done
            }
            None => Written::Fenced,
        }
    }

    fn checkpoint(
        &mut self,
        grant: &Grant,
        step: &Checkpoint,
        now: Duration,
        deleted: &mut Vec<Slot>,
    ) -> Written {
        let held = self.look(grant.slot, now, deleted);
        let Some(held) = held.filter(|held| held.is_running_for(grant)) else {
            return Written::Fenced;
        };
        match held.steps.iter().position(|it| it.name == step.name) {
            Some(place) => held.steps[place].value = step.value.clone(),
            None => held.steps.push(step.clone()),
        }
        Written::Done
    }

    fn complete(
        &mut self,
        grant: &Grant,
        record: &Bytes,
        retention: Retention,
        now: Duration,
        deleted: &mut Vec<Slot>,
    ) -> Written {
        let defect = self.defect;
        let Some(held) = self.look(grant.slot, now, deleted) else {
            return Written::Fenced;
        };
        if !held.is_of(grant) && defect != Some(Defect::NoFenceOnComplete) {
            // The one who took over has written its record: in this store it is replaced.
            let replaced = defect == Some(Defect::CompletedOverwritten)
                && matches!(held.phase, Phase::Done { .. });
            if replaced {
                held.finish(record.clone(), retention, now);
                return Written::Done;
            }
            return Written::Fenced;
        }
        match held.phase {
            Phase::Running { .. } => {
                held.finish(record.clone(), retention, now);
                Written::Done
            }
            Phase::Done { .. } => Written::Done,
            Phase::Free => Written::Fenced,
        }
    }

    fn release(
        &mut self,
        grant: &Grant,
        ttl: Duration,
        now: Duration,
        deleted: &mut Vec<Slot>,
    ) -> Written {
        let takes_any = self.defect == Some(Defect::ReleaseWithoutFence);
        let Some(held) = self.look(grant.slot, now, deleted) else {
            return Written::Fenced;
        };
        if !held.is_of(grant) && !takes_any {
            return Written::Fenced;
        }
        match held.phase {
            Phase::Running { .. } => {
                held.free(ttl, now);
                Written::Done
            }
            Phase::Free => Written::Done,
            Phase::Done { .. } => Written::Fenced,
        }
    }

    fn list(&self, query: &ListQuery, now: Duration) -> Page {
        let after = query.after.as_ref().map(|cursor| cursor.0.to_vec());
        let mut slots = self
            .slots
            .iter()
            .filter(|(slot, _)| after.as_ref().is_none_or(|after| slot[..] > after[..]))
            .filter(|(_, held)| held.until.is_none_or(|until| until > now))
            .map(|(slot, held)| held.view(Slot::from_bytes(*slot), now))
            .filter(|view| query.state.is_none_or(|state| view.state.kind() == state));
        let page: Vec<_> = slots.by_ref().take(query.limit).collect();
        let more = slots.next().is_some();
        let last = page.last().filter(|_| more);
        Page {
            next: last.map(|view| Cursor(Bytes::copy_from_slice(view.slot.as_bytes()))),
            slots: page,
        }
    }

    /// The slots in which two stores differ.
    pub(super) fn difference(&self, other: &Self) -> Vec<Slot> {
        let mut slots: Vec<_> = self.slots.keys().chain(other.slots.keys()).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
            .into_iter()
            .filter(|slot| self.slots.get(*slot) != other.slots.get(*slot))
            .map(|slot| Slot::from_bytes(*slot))
            .collect()
    }
}

impl Held {
    fn first(claim: &ClaimRequest, now: Duration) -> Self {
        let mut held = Self {
            asks: claim.fingerprint,
            last: claim.owner,
            fence: 0,
            attempt: 0,
            steps: Vec::new(),
            after_silence: false,
            phase: Phase::Free,
            until: None,
        };
        held.give(claim, now);
        held
    }

    /// The slot is the claim's from now on.
    fn give(&mut self, claim: &ClaimRequest, now: Duration) {
        self.last = claim.owner;
        self.fence += 1;
        self.attempt += 1;
        self.phase = Phase::Running {
            lease_ends: now,
            retention: claim.retention,
            refuse: claim.on_crash == OnCrash::Refuse,
        };
        self.extend(claim.lease, now);
    }

    fn extend(&mut self, lease: Duration, now: Duration) {
        if let Phase::Running {
            lease_ends,
            retention,
            refuse,
        } = &mut self.phase
        {
            *lease_ends = now.saturating_add(lease);
            self.until = (!*refuse).then(|| lease_ends.saturating_add(retention.total()));
        }
    }

    fn claim(&self, claim: &ClaimRequest, now: Duration, defect: Option<Defect>) -> Outcome {
        if self.asks != claim.fingerprint && defect != Some(Defect::MismatchIgnored) {
            return Outcome::Answer(Claim::Mismatch);
        }
        let again = self.last == claim.owner && defect != Some(Defect::ClaimIgnoresOwner);
        let taken = |after_silence| {
            let mut taken = self.clone();
            taken.after_silence = after_silence;
            taken.give(claim, now);
            Outcome::Take(taken)
        };
        match &self.phase {
            Phase::Done { record, ttl_ends } => {
                let expired = *ttl_ends <= now;
                let end = if expired { self.until } else { Some(*ttl_ends) };
                Outcome::Answer(Claim::Completed(Completed {
                    record: record.clone(),
                    expired,
                    under: Under::Slot,
                    remaining: end.unwrap_or(now).saturating_sub(now),
                }))
            }
            Phase::Running { .. } if again => {
                let mut extended = self.clone();
                extended.extend(claim.lease, now);
                Outcome::Take(extended)
            }
            Phase::Running { lease_ends, .. } if now < *lease_ends => {
                Outcome::Answer(Claim::InFlight {
                    lease_left: *lease_ends - now,
                })
            }
            Phase::Running { refuse, .. } => {
                if *refuse || claim.on_crash == OnCrash::Refuse {
                    Outcome::Answer(Claim::Unknown)
                } else {
                    taken(true)
                }
            }
            Phase::Free if again => Outcome::Answer(Claim::InFlight {
                lease_left: Duration::ZERO,
            }),
            Phase::Free => taken(false),
        }
    }

    fn won(&self) -> Claim {
        Claim::Claimed(Claimed {
            fence: Fence::from_raw(self.fence),
            attempt: self.attempt,
            taken_over: self.after_silence,
            under: Under::Slot,
            checkpoints: self.steps.clone(),
        })
    }

    fn is_of(&self, grant: &Grant) -> bool {
        (self.last, self.fence) == (grant.owner, grant.fence.get())
    }

    fn is_running_for(&self, grant: &Grant) -> bool {
        self.is_of(grant) && matches!(self.phase, Phase::Running { .. })
    }

    fn finish(&mut self, record: Bytes, retention: Retention, now: Duration) {
        let ttl_ends = now.saturating_add(retention.ttl);
        self.steps.clear();
        self.until = Some(ttl_ends.saturating_add(retention.grace));
        self.phase = Phase::Done { record, ttl_ends };
    }

    fn free(&mut self, ttl: Duration, now: Duration) {
        self.until = Some(now.saturating_add(ttl));
        self.phase = Phase::Free;
    }

    fn resolve(
        &mut self,
        fence: Fence,
        operator: OwnerId,
        resolution: &Resolution,
        now: Duration,
    ) -> Resolved {
        if self.last == operator && self.fence == fence.get() + 1 {
            return Resolved::Done;
        }
        if self.fence != fence.get() {
            return Resolved::Moved;
        }
        match &self.phase {
            Phase::Done { .. } => return Resolved::Moved,
            Phase::Running { lease_ends, .. } if now < *lease_ends => {
                return Resolved::StillOwned {
                    lease_left: *lease_ends - now,
                };
            }
            Phase::Running { .. } | Phase::Free => {}
        }
        self.last = operator;
        self.fence += 1;
        match resolution {
            Resolution::Complete { record, retention } => {
                self.finish(record.clone(), *retention, now);
            }
            Resolution::Release { ttl } => self.free(*ttl, now),
        }
        Resolved::Done
    }

    fn view(&self, slot: Slot, now: Duration) -> SlotView {
        let state = match &self.phase {
            Phase::Running { lease_ends, .. } if now < *lease_ends => SlotState::InFlight {
                lease_left: *lease_ends - now,
            },
            Phase::Running { refuse: true, .. } => SlotState::Unknown,
            Phase::Running { .. } => SlotState::Lapsed,
            Phase::Done { record, ttl_ends } => SlotState::Completed {
                record: record.clone(),
                expired: *ttl_ends <= now,
            },
            Phase::Free => SlotState::Released,
        };
        SlotView {
            slot,
            state,
            fingerprint: self.asks,
            fence: Fence::from_raw(self.fence),
            attempt: self.attempt,
            checkpoints: self.steps.iter().map(|step| step.name.clone()).collect(),
            deleted_in: self.until.map(|until| until.saturating_sub(now)),
        }
    }
}
