//! The protocol of one slot, one command after the other: what the store's log is held against.
//!
//! It is written from the protocol's table and shares no code with any store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Invariant, Violation, index::Index, violation};
use crate::history::{
    CallId, Claimed, Command, History, NodeId, PayloadId, Place, Rules, What, Write,
};

/// What the store's log says of each slot.
#[derive(Default)]
pub(super) struct Log {
    slots: BTreeMap<Place, SlotLog>,
}

#[derive(Default)]
struct SlotLog {
    /// Writes were lost: from then on nobody knows who was in flight.
    lost: Option<Duration>,
    /// Who was in flight, from when to when.
    held: Vec<Holding>,
    completed: Vec<Duration>,
    won: Vec<Won>,
    /// When which fence was shown for which write.
    written: Vec<(Duration, u64, Wrote)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrote {
    Record,
    Release,
    Other,
}

struct Holding {
    call: Option<CallId>,
    from: Duration,
    to: Duration,
}

/// A claim that was won, when it was first.
pub(super) struct Won {
    pub(super) at: Duration,
    pub(super) node: NodeId,
    pub(super) fence: u64,
    /// Whether anything was written under it that ended it.
    pub(super) is_ended: bool,
}

impl Log {
    /// Whether somebody else than `call` was in flight between the two.
    pub(super) fn is_held(&self, place: Place, call: CallId, from: Duration, to: Duration) -> bool {
        self.of(place).is_some_and(|log| {
            let mut held = log.held.iter();
            log.lost.is_some_and(|lost| lost <= to)
                || held.any(|it| it.call != Some(call) && it.from <= to && it.to >= from)
        })
    }

    /// When the slot was first completed in the generation that lasts from `from`.
    pub(super) fn completed(&self, place: Place) -> &[Duration] {
        self.of(place).map_or(&[], |log| &log.completed)
    }

    /// The claims that were won.
    pub(super) fn won(&self, place: Place) -> &[Won] {
        self.of(place).map_or(&[], |log| &log.won)
    }

    /// Whether a completion under this fence was applied after `from`.
    pub(super) fn is_completed_by(&self, place: Place, fence: u64, from: Duration) -> bool {
        self.has_written(place, fence, from, Wrote::Record)
    }

    /// Whether a release under this fence was applied after `from`.
    pub(super) fn is_released_by(&self, place: Place, fence: u64, from: Duration) -> bool {
        self.has_written(place, fence, from, Wrote::Release)
    }

    fn has_written(&self, place: Place, fence: u64, from: Duration, what: Wrote) -> bool {
        self.of(place).is_some_and(|log| {
            let mut all = log.written.iter();
            all.any(|(at, of, wrote)| *at >= from && *of == fence && *wrote == what)
        })
    }

    /// Whether a claim with a higher fence was won by then, in the generation of `from`.
    pub(super) fn is_taken_over(
        &self,
        place: Place,
        fence: u64,
        from: Duration,
        by: Duration,
    ) -> bool {
        let mut won = self.won(place).iter();
        won.any(|won| won.fence > fence && won.at >= from && won.at <= by)
    }

    fn of(&self, place: Place) -> Option<&SlotLog> {
        self.slots.get(&place)
    }
}

#[derive(Default)]
enum State {
    #[default]
    Absent,
    InFlight {
        lease_until: Duration,
        refuse: bool,
    },
    Completed {
        body: String,
        expires: Duration,
    },
    Released,
    /// Writes were lost: whatever comes next is taken for what it is.
    Lost,
}

#[derive(Default)]
struct Slot {
    state: State,
    rules: Rules,
    payload: PayloadId,
    owner: u64,
    fence: u64,
    attempt: u32,
    taken_over: bool,
    steps: Vec<String>,
    delete_at: Option<Duration>,
    log: SlotLog,
}

pub(super) fn check(history: &History, index: &Index<'_>, found: &mut Vec<Violation>) -> Log {
    let mut slots: BTreeMap<Place, Slot> = BTreeMap::new();
    let mut owners: BTreeMap<CallId, u64> = BTreeMap::new();
    for event in &history.events {
        match &event.what {
            What::Applied { place, command } => {
                let slot = slots.entry(*place).or_insert_with(|| Slot {
                    rules: history.rules(*place),
                    ..Slot::default()
                });
                if let Err((invariant, what)) = slot.apply(command, event.at) {
                    found.push(violation(invariant, *place, event.at, what));
                }
                if let Command::Claim {
                    call: Some(call),
                    owner,
                    ..
                } = command
                    && *owners.entry(*call).or_insert(*owner) != *owner
                {
                    found.push(violation(
                        Invariant::I8,
                        *place,
                        event.at,
                        format!("the request {call} has claimed under two owners"),
                    ));
                }
            }
            What::LostWrites { places } => {
                let all: Vec<Place> = slots.keys().copied().collect();
                for place in places.as_ref().unwrap_or(&all) {
                    if let Some(slot) = slots.get_mut(place) {
                        slot.leave(event.at);
                        slot.log.lost.get_or_insert(event.at);
                        slot.state = State::Lost;
                    }
                }
            }
            _ => {}
        }
    }
    let log = Log {
        slots: slots
            .into_iter()
            .map(|(place, slot)| (place, slot.log))
            .collect(),
    };
    claims_that_came_to_nothing(history, index, &log, found);
    log
}

/// A claim that was won runs or is given back, unless something happens to its process.
fn claims_that_came_to_nothing(
    history: &History,
    index: &Index<'_>,
    log: &Log,
    found: &mut Vec<Violation>,
) {
    for (place, events) in &index.places {
        let fences: BTreeSet<_> = events
            .runs
            .iter()
            .map(|run| &index.runs[run])
            .map(|run| (run.fence, index.generation(*place, run.began)))
            .collect();
        let lease = history.rules(*place).lease;
        for won in log.won(*place) {
            let ran = fences.contains(&(Some(won.fence), index.generation(*place, won.at)))
                || fences.iter().any(|(fence, _)| fence.is_none());
            let lapse = won.at + lease;
            let excused = lapse >= index.end
                || index.is_disturbed(won.node, won.at.saturating_sub(lease), lapse);
            if !ran && !won.is_ended && !excused && history.sees_runs {
                found.push(violation(
                    Invariant::I7,
                    *place,
                    won.at,
                    format!(
                        "the claim with fence {} was won, and nothing came of it",
                        won.fence
                    ),
                ));
            }
        }
    }
}

type Fault = (Invariant, String);

impl Slot {
    fn apply(&mut self, command: &Command, at: Duration) -> Result<(), Fault> {
        match command {
            Command::Claim {
                owner,
                node,
                call,
                payload,
                refuse,
                reply,
            } => {
                let verdict = self.judge(*owner, *payload, *refuse, reply, at);
                self.follow(*owner, *node, *call, *payload, *refuse, reply, at);
                verdict
            }
            Command::Write {
                owner,
                fence,
                write,
                done,
            } => self.write(*owner, *fence, write, *done, at),
            Command::Deleted => self.deleted(at),
        }
    }

    /// Whether the reply to a claim is the one that the protocol has.
    fn judge(
        &self,
        owner: u64,
        payload: PayloadId,
        refuse: bool,
        reply: &Claimed,
        at: Duration,
    ) -> Result<(), Fault> {
        let wrong = |invariant, what: &str| Err((invariant, format!("{what}: {reply:?}")));
        let mine = owner == self.owner;
        match &self.state {
            State::Lost => Ok(()),
            State::Absent => self.won_as(1, 1, false, &[], reply),
            _ if payload != self.payload => match reply {
                Claimed::Mismatch => Ok(()),
                _ => wrong(Invariant::I5, "another payload's claim is not refused"),
            },
            State::Completed { body, expires } => match reply {
                Claimed::Completed {
                    body: told,
                    expired,
                } if told == body && *expired == (*expires <= at) => Ok(()),
                Claimed::Completed { .. } => wrong(Invariant::I3, "the record is another"),
                Claimed::Won { .. } => wrong(Invariant::I4, "a completed slot is won"),
                _ => wrong(
                    Invariant::I3,
                    "a completed slot does not answer with its record",
                ),
            },
            State::InFlight { .. } if mine => {
                let same = self.won_as(
                    self.fence,
                    self.attempt,
                    self.taken_over,
                    &self.steps,
                    reply,
                );
                same.map_err(|(_, what)| {
                    (
                        Invariant::I8,
                        format!("a repeated claim is another: {what}"),
                    )
                })
            }
            State::InFlight { lease_until, .. } if at < *lease_until => match reply {
                Claimed::InFlight => Ok(()),
                Claimed::Won { .. } => wrong(Invariant::I1, "a slot with a live owner is won"),
                _ => wrong(
                    Invariant::InProgress,
                    "a slot with a live owner is not in flight",
                ),
            },
            State::InFlight { refuse: before, .. } if *before || refuse => match reply {
                Claimed::Unknown => Ok(()),
                _ => wrong(Invariant::Refuse, "nobody knows what became of the slot"),
            },
            State::InFlight { .. } => {
                self.won_as(self.fence + 1, self.attempt + 1, true, &self.steps, reply)
            }
            State::Released if mine => match reply {
                Claimed::InFlight => Ok(()),
                _ => wrong(
                    Invariant::I8,
                    "a late copy of a claim that is over changes something",
                ),
            },
            State::Released => {
                self.won_as(self.fence + 1, self.attempt + 1, false, &self.steps, reply)
            }
        }
    }

    fn won_as(
        &self,
        fence: u64,
        attempt: u32,
        taken_over: bool,
        steps: &[String],
        reply: &Claimed,
    ) -> Result<(), Fault> {
        let Claimed::Won {
            fence: got_fence,
            attempt: got_attempt,
            taken_over: got_taken_over,
            steps: got_steps,
        } = reply
        else {
            return Err((
                Invariant::InProgress,
                format!("a free slot is not won: {reply:?}"),
            ));
        };
        let told = format!("fence {fence}, attempt {attempt}, steps {steps:?} became {reply:?}");
        if *got_fence != fence {
            return Err((Invariant::I2, told));
        }
        if *got_attempt != attempt || *got_taken_over != taken_over {
            return Err((Invariant::Attempts, told));
        }
        if got_steps != steps {
            return Err((Invariant::Steps, told));
        }
        Ok(())
    }

    /// Takes the store's word for it, so that one fault is not found again and again.
    #[allow(clippy::too_many_arguments, reason = "the parts of a claim")]
    fn follow(
        &mut self,
        owner: u64,
        node: NodeId,
        call: Option<CallId>,
        payload: PayloadId,
        refuse: bool,
        reply: &Claimed,
        at: Duration,
    ) {
        match reply {
            Claimed::Won {
                fence,
                attempt,
                taken_over,
                steps,
            } => {
                let again = matches!(self.state, State::InFlight { .. })
                    && (self.owner, self.fence) == (owner, *fence);
                let refuse = if let State::InFlight { refuse: before, .. } = self.state {
                    before || refuse
                } else {
                    refuse
                };
                if !again {
                    self.leave(at);
                    self.log.won.push(Won {
                        at,
                        node,
                        fence: *fence,
                        is_ended: false,
                    });
                    self.log.held.push(Holding {
                        call,
                        from: at,
                        to: Duration::MAX,
                    });
                }
                self.owner = owner;
                self.payload = payload;
                self.fence = *fence;
                self.attempt = *attempt;
                self.taken_over = *taken_over;
                self.steps.clone_from(steps);
                self.hold(refuse, at);
            }
            Claimed::Completed { body, .. } if !matches!(self.state, State::Completed { .. }) => {
                self.leave(at);
                self.payload = payload;
                self.complete(body, at);
            }
            _ => {}
        }
    }

    fn hold(&mut self, refuse: bool, at: Duration) {
        let lease_until = at + self.rules.lease;
        self.delete_at = (!refuse).then(|| lease_until + self.rules.ttl + self.rules.grace);
        self.state = State::InFlight {
            lease_until,
            refuse,
        };
    }

    fn complete(&mut self, body: &str, at: Duration) {
        let expires = at + self.rules.ttl;
        self.delete_at = Some(expires + self.rules.grace);
        self.steps.clear();
        self.log.completed.push(at);
        self.state = State::Completed {
            body: body.to_owned(),
            expires,
        };
    }

    /// Nobody is in flight any more.
    fn leave(&mut self, at: Duration) {
        if let Some(held) = self.log.held.last_mut()
            && held.to == Duration::MAX
        {
            held.to = at;
        }
    }

    fn write(
        &mut self,
        owner: u64,
        fence: u64,
        write: &Write,
        done: bool,
        at: Duration,
    ) -> Result<(), Fault> {
        let told = || {
            format!(
                "{write:?} with fence {fence} of {}, done: {done}",
                self.fence
            )
        };
        if matches!(self.state, State::Lost) {
            return Ok(());
        }
        let holds = (owner, fence) == (self.owner, self.fence);
        let in_flight = matches!(self.state, State::InFlight { .. });
        let again = match (&self.state, write) {
            (State::Completed { .. }, Write::Complete(_)) | (State::Released, Write::Release) => {
                holds
            }
            _ => false,
        };
        match (done, holds && (in_flight || again)) {
            (true, false) => {
                let invariant = match (&self.state, holds) {
                    (State::Completed { .. }, _) => Invariant::I3,
                    _ => Invariant::I2,
                };
                return Err((invariant, told()));
            }
            (false, true) if again => return Err((Invariant::I8, told())),
            (false, true) => return Err((Invariant::I2, told())),
            (false, false) => return Ok(()),
            (true, true) => {}
        }
        let wrote = match write {
            Write::Complete(_) => Wrote::Record,
            Write::Release => Wrote::Release,
            Write::Renew | Write::Step(_) => Wrote::Other,
        };
        self.log.written.push((at, fence, wrote));
        if again {
            return Ok(());
        }
        let refuse = matches!(self.state, State::InFlight { refuse: true, .. });
        match write {
            Write::Renew => self.hold(refuse, at),
            Write::Step(step) => {
                if !self.steps.contains(step) {
                    self.steps.push(step.clone());
                }
            }
            Write::Complete(body) => {
                self.leave(at);
                self.complete(body, at);
            }
            Write::Release => {
                self.leave(at);
                self.delete_at = Some(at + self.rules.ttl);
                self.state = State::Released;
            }
        }
        if matches!(write, Write::Complete(_) | Write::Release)
            && let Some(won) = self.log.won.last_mut()
        {
            won.is_ended = true;
        }
        Ok(())
    }

    fn deleted(&mut self, at: Duration) -> Result<(), Fault> {
        let is_due = self.delete_at.is_some_and(|due| due <= at);
        let verdict = match &self.state {
            _ if is_due => Ok(()),
            State::Lost | State::Absent => Ok(()),
            State::InFlight { .. } => {
                Err((Invariant::I1, "a slot in flight is deleted".to_owned()))
            }
            State::Completed { .. } => {
                Err((Invariant::I4, "a record is deleted too early".to_owned()))
            }
            State::Released => Err((
                Invariant::Attempts,
                "a released slot is deleted too early".to_owned(),
            )),
        };
        self.leave(at);
        *self = Self {
            rules: self.rules,
            log: std::mem::take(&mut self.log),
            ..Self::default()
        };
        verdict
    }
}
