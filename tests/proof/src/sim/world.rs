//! Everything that is not a node: the clock, the queue of what is to come, the store, the
//! network, and the history.

use std::{
    collections::{BTreeMap, BinaryHeap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use idem_core::{
    Claim, Fingerprint, FingerprintBuilder, IdempotencyKey, OnCrash, Operation, OwnerId, Scope,
    Slot, SlotDeriver, StoreError, Written,
};
use tokio::sync::oneshot;

use super::{
    machine::{Defect, Machine, Reply, Request},
    plan::{Ambushes, Fault, Outage, Weather, ms},
    rng::Rng,
};
use crate::history::{
    Answer, CallId, Claimed, Command, Event, NodeId, PayloadId, Place, RunId, What, Write,
};

pub(super) type ReplyTo = oneshot::Sender<Result<Reply, StoreError>>;

/// A process from its start to its death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) node: NodeId,
    pub(super) number: u32,
}

/// What is to come.
pub(super) enum Coming {
    /// A command arrives at the store.
    Command {
        from: Life,
        call: Option<CallId>,
        request: Request,
        reply_to: Option<ReplyTo>,
        is_late: bool,
    },
    /// A reply arrives at a node.
    Reply {
        to: Life,
        reply_to: ReplyTo,
        reply: Result<Reply, StoreError>,
    },
    /// A claim is written that was decided before (a defect).
    Written(Request, Box<super::machine::Held>),
    /// A client asks.
    Ask(Ask),
    /// A client loses patience.
    Leave(CallId),
    Fault(Fault),
}

/// A request that is about to be sent.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) intent: usize,
    pub(super) tries_left: u32,
}

struct Item {
    at: Duration,
    tie: u64,
    what: Coming,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.tie) == (other.at, other.tie)
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    /// The first to come is the greatest. What comes at the same time does so in an order of
    /// the seed's choosing.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.tie).cmp(&(self.at, self.tie))
    }
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Duration,
    pub(super) machine: Machine,
    pub(super) weather: Weather,
    pub(super) ambushes: Ambushes,
    pub(super) outage: Option<Outage>,
    pub(super) events: Vec<Event>,
    /// Requests that were answered or left since the loop last looked.
    pub(super) over: Vec<(CallId, Duration, Option<Answer>)>,
    queue: BinaryHeap<Item>,
    owners: BTreeMap<OwnerKey, CallId>,
    next_run: RunId,
}

type OwnerKey = [u8; 16];

/// The world, as everybody shares it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn new(
        rng: Rng,
        weather: Weather,
        ambushes: Ambushes,
        defect: Option<Defect>,
    ) -> Self {
        let mut machine = Machine::default();
        machine.defect = defect;
        Self(Arc::new(Mutex::new(World {
            rng,
            now: Duration::ZERO,
            machine,
            weather,
            ambushes,
            outage: None,
            events: Vec::new(),
            over: Vec::new(),
            queue: BinaryHeap::new(),
            owners: BTreeMap::new(),
            next_run: 0,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub(super) fn note(&mut self, at: Duration, what: What) {
        self.events.push(Event { at, what });
    }

    pub(super) const fn new_run(&mut self) -> RunId {
        self.next_run += 1;
        self.next_run
    }

    pub(super) fn come(&mut self, at: Duration, what: Coming) {
        let tie = self.rng.next();
        self.queue.push(Item { at, tie, what });
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.queue.peek().map(|item| item.at)
    }

    pub(super) fn next(&mut self) -> Option<Coming> {
        let item = self.queue.pop()?;
        self.now = item.at;
        Some(item.what)
    }

    fn way(&mut self) -> Duration {
        ms(self.rng.between(1, self.weather.way))
    }

    /// A node sends a command: what becomes of it is decided here.
    pub(super) fn send(
        &mut self,
        from: Life,
        now: Duration,
        call: Option<CallId>,
        request: Request,
        reply_to: ReplyTo,
    ) {
        self.ambush(from, now);
        let weather = self.weather;
        let mut is_late = false;
        let mut there = self.way();
        if there > ms(10) {
            self.note(now, What::Disturbed { node: from.node });
        }
        match self.outage {
            Some(Outage::Refuses) => {
                self.disturb(from, now);
                let reply = Err(StoreError::Unreachable("refused".into()));
                let reply = Coming::Reply {
                    to: from,
                    reply_to,
                    reply,
                };
                return self.come(now + there, reply);
            }
            Some(Outage::Silent) => {
                self.disturb(from, now);
                return self.never(reply_to);
            }
            Some(Outage::Mute) | None => {}
        }
        if self.rng.odds(weather.request_lost) {
            self.disturb(from, now);
            return self.never(reply_to);
        }
        if self.rng.odds(weather.late) {
            self.disturb(from, now);
            is_late = true;
            there = ms(self.rng.between(30, 700));
        }
        if self.rng.odds(weather.twice) {
            let later = now + there + ms(self.rng.between(1, 500));
            self.come(
                later,
                Coming::Command {
                    from,
                    call,
                    request: request.clone(),
                    reply_to: None,
                    is_late: true,
                },
            );
        }
        self.come(
            now + there,
            Coming::Command {
                from,
                call,
                request,
                reply_to: Some(reply_to),
                is_late,
            },
        );
    }

    /// Something may befall a process while its command is on its way.
    fn ambush(&mut self, victim: Life, now: Duration) {
        let Ambushes {
            crashes,
            stops,
            odds,
            lease,
            again,
        } = self.ambushes;
        let again = again == Some(victim.node);
        if crashes + stops == 0 || !(again || self.rng.odds(odds)) {
            return;
        }
        self.ambushes.again = None;
        let at = now + ms(self.rng.between(0, 5));
        let node = victim.node;
        let stops_it = crashes == 0 || (stops > 0 && self.rng.odds(500));
        let (fault, back, longest) = if stops_it {
            self.ambushes.stops -= 1;
            (Fault::Stop(node), Fault::Wake(node), 3 * lease)
        } else {
            self.ambushes.crashes -= 1;
            (Fault::Crash(node), Fault::Restart(node), 2 * lease)
        };
        // Who was befallen twice has to have missed something.
        let shortest = if again { lease } else { 1 };
        let back_at = at + ms(self.rng.between(shortest, longest));
        self.come(at, Coming::Fault(fault));
        self.come(back_at, Coming::Fault(back));
    }

    /// Nobody will ever answer: the one who asked has to lose patience.
    fn never(&mut self, reply_to: ReplyTo) {
        // Dropping it would tell.
        self.come(
            Duration::from_secs(1 << 20),
            Coming::Reply {
                to: Life {
                    node: 0,
                    number: u32::MAX,
                },
                reply_to,
                reply: Err(StoreError::TimedOut(Duration::ZERO)),
            },
        );
    }

    fn disturb(&mut self, from: Life, at: Duration) {
        self.note(at, What::Disturbed { node: from.node });
    }

    /// A command arrives, and its reply sets out.
    pub(super) fn arrive(
        &mut self,
        from: Life,
        call: Option<CallId>,
        request: &Request,
        reply_to: Option<ReplyTo>,
        is_late: bool,
    ) {
        if is_late {
            self.disturb(from, self.now);
        }
        let reply = self.apply(from, call, request);
        let Some(reply_to) = reply_to else {
            return;
        };
        let back = self.way();
        let weather = self.weather;
        if self.outage.is_some() || self.rng.odds(weather.reply_lost) {
            self.disturb(from, self.now);
            return self.never(reply_to);
        }
        let mut reply = Ok(reply);
        if self.rng.odds(weather.interrupted) {
            self.disturb(from, self.now);
            reply = Err(StoreError::Interrupted("the connection broke".into()));
        }
        if back > ms(10) {
            self.disturb(from, self.now);
        }
        let reply = Coming::Reply {
            to: from,
            reply_to,
            reply,
        };
        self.come(self.now + back, reply);
    }

    fn apply(&mut self, from: Life, call: Option<CallId>, request: &Request) -> Reply {
        let (now, mut deleted) = (self.now, Vec::new());
        let seen = self.as_seen(request);
        let reply = match &seen {
            Request::Claim(claim) if self.machine.defect == Some(Defect::ClaimGetThenSet) => {
                let (answer, write) = self.machine.claim(claim, now, &mut deleted);
                if let Some(write) = write {
                    self.come(now + ms(3), Coming::Written(seen.clone(), Box::new(write)));
                }
                Reply::Claim(answer)
            }
            seen => self.machine.apply(seen, now, &mut deleted),
        };
        for slot in deleted {
            self.log(slot, Command::Deleted);
        }
        self.log_applied(from, call, request, &reply);
        reply
    }

    /// What a store that does not know scopes makes of a command.
    fn as_seen(&self, request: &Request) -> Request {
        let mut seen = request.clone();
        if self.machine.defect == Some(Defect::ScopeBlind) {
            match &mut seen {
                Request::Claim(claim) => claim.slot = blind(claim.slot),
                Request::Renew(renewals) => {
                    for renewal in renewals {
                        renewal.grant.slot = blind(renewal.grant.slot);
                    }
                }
                Request::Checkpoint(grant, _)
                | Request::Complete(grant, _, _)
                | Request::Release(grant, _) => grant.slot = blind(grant.slot),
                Request::Inspect(slot) | Request::Resolve(slot, ..) => *slot = blind(*slot),
                Request::List(_) | Request::Health => {}
            }
        }
        seen
    }

    fn log(&mut self, slot: Slot, command: Command) {
        if let Some(place) = names(|names| names.place(&slot)) {
            self.note(self.now, What::Applied { place, command });
        }
    }

    fn log_applied(&mut self, from: Life, call: Option<CallId>, request: &Request, reply: &Reply) {
        match (request, reply) {
            (Request::Claim(claim), Reply::Claim(answer)) => {
                let owner = *claim.owner.as_bytes();
                let call = match call {
                    Some(call) => Some(*self.owners.entry(owner).or_insert(call)),
                    None => self.owners.get(&owner).copied(),
                };
                let command = Command::Claim {
                    owner: short(claim.owner),
                    node: from.node,
                    call,
                    payload: names(|names| names.payload(claim.fingerprint)),
                    refuse: claim.on_crash == OnCrash::Refuse,
                    reply: claimed(answer),
                };
                self.log(claim.slot, command);
            }
            (Request::Renew(renewals), Reply::Renewed(each)) => {
                for (renewal, written) in renewals.iter().zip(each) {
                    self.log_write(renewal.grant, Write::Renew, *written);
                }
            }
            (Request::Checkpoint(grant, step), Reply::Written(written)) => {
                self.log_write(*grant, Write::Step(step.name.clone()), *written);
            }
            (Request::Complete(grant, record, _), Reply::Written(written)) => {
                self.log_write(*grant, Write::Complete(super::body(record)), *written);
            }
            (Request::Release(grant, _), Reply::Written(written)) => {
                self.log_write(*grant, Write::Release, *written);
            }
            _ => {}
        }
    }

    fn log_write(&mut self, grant: idem_core::Grant, write: Write, written: Written) {
        let command = Command::Write {
            owner: short(grant.owner),
            fence: grant.fence.get(),
            write,
            done: written == Written::Done,
        };
        self.log(grant.slot, command);
    }
}

fn short(owner: OwnerId) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&owner.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn claimed(answer: &Claim) -> Claimed {
    match answer {
        Claim::Claimed(won) => Claimed::Won {
            fence: won.fence.get(),
            attempt: won.attempt,
            taken_over: won.taken_over,
            steps: won.checkpoints.iter().map(|it| it.name.clone()).collect(),
        },
        Claim::InFlight { .. } => Claimed::InFlight,
        Claim::Mismatch => Claimed::Mismatch,
        Claim::Completed(completed) => Claimed::Completed {
            body: super::body(&completed.record),
            expired: completed.expired,
        },
        Claim::Unknown => Claimed::Unknown,
    }
}

/// The slot of the same key in the first scope.
fn blind(slot: Slot) -> Slot {
    names(|names| match names.place(&slot) {
        Some(place) => names.slot(Place { scope: 0, ..place }),
        None => slot,
    })
}

const SCOPES: u32 = 2;
const KEYS: u32 = 12;
const PAYLOADS: u32 = 2;
pub(super) const OPERATION: &str = "simulated";

/// What is called how: derived once, because hashing is dear where nothing is optimised.
pub(super) struct Names {
    slots: Vec<Slot>,
    places: BTreeMap<[u8; 32], Place>,
    fingerprints: Vec<Fingerprint>,
}

thread_local! {
    static NAMES: Names = Names::derive();
}

pub(super) fn names<T>(look: impl FnOnce(&Names) -> T) -> T {
    NAMES.with(look)
}

impl Names {
    fn derive() -> Self {
        let deriver = SlotDeriver::new("idem");
        let operation = Operation::new(OPERATION);
        let (mut slots, mut places) = (Vec::new(), BTreeMap::new());
        for scope in 0..SCOPES {
            for key in 0..KEYS {
                let place = Place { scope, key };
                let key = IdempotencyKey::new(key_text(place)).unwrap();
                let slot = deriver.slot(&operation, &scope_of(place), &key);
                slots.push(slot);
                places.insert(*slot.as_bytes(), place);
            }
        }
        let fingerprints = (0..PAYLOADS).map(|payload| {
            let mut builder = FingerprintBuilder::new();
            builder.typed(&payload).unwrap();
            builder.finish()
        });
        Self {
            slots,
            places,
            fingerprints: fingerprints.collect(),
        }
    }

    pub(super) fn slot(&self, place: Place) -> Slot {
        self.slots[(place.scope * KEYS + place.key) as usize]
    }

    pub(super) fn fingerprint(&self, payload: PayloadId) -> Fingerprint {
        self.fingerprints[payload as usize]
    }

    fn place(&self, slot: &Slot) -> Option<Place> {
        self.places.get(slot.as_bytes()).copied()
    }

    fn payload(&self, fingerprint: Fingerprint) -> PayloadId {
        let found = self.fingerprints.iter().position(|it| *it == fingerprint);
        found.map_or(PayloadId::MAX, |payload| payload as PayloadId)
    }
}

pub(super) fn key_text(place: Place) -> String {
    format!("key-{}", place.key)
}

pub(super) fn scope_of(place: Place) -> Scope {
    Scope::new("user", format!("u{}", place.scope)).unwrap()
}

/// The keys of these slots.
pub(super) fn places_of(slots: &[Slot]) -> Vec<Place> {
    names(|names| slots.iter().filter_map(|slot| names.place(slot)).collect())
}
