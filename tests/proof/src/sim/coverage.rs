//! Which situations schedules have been in, so that they cannot rot unseen: a change after
//! which nobody is taken over from any more would else be a change after which nothing fails.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::{Played, Profile};
use crate::{
    checker::Promise,
    history::{
        Abandoned, Answer, CallId, Change, Claimed, Command, End, Place, RunId, What, Write,
    },
};

/// What has to be met, by the schedules of which profile, and how often at the least in
/// three thousand of them.
pub const SITUATIONS: &[(&str, Profile, u64)] = &[
    ("a lapsed lease is taken over", Profile::Crashes, 1000),
    ("a released slot is claimed again", Profile::Calm, 700),
    ("a renewal is fenced", Profile::Lossy, 3000),
    ("a completion is fenced", Profile::Stops, 100),
    ("a release is fenced", Profile::Lossy, 600),
    ("a step is fenced", Profile::Lossy, 500),
    (
        "a claim in flight is asked for again",
        Profile::Outages,
        5000,
    ),
    ("a completion is asked for again", Profile::Lossy, 3000),
    ("a release is asked for again", Profile::Lossy, 450),
    ("a claim that is over arrives late", Profile::Lossy, 150),
    ("a claim without an answer is settled", Profile::Lossy, 450),
    ("the work goes on without its client", Profile::Calm, 450),
    ("a finished step is handed over", Profile::Crashes, 300),
    ("a process woke between two steps", Profile::Stops, 200),
    (
        "a process woke between two steps, and had been replaced",
        Profile::Stops,
        40,
    ),
    ("a process died between two steps", Profile::Crashes, 150),
    (
        "the one who was replaced gets the record",
        Profile::Stops,
        60,
    ),
    ("a record is replayed", Profile::Calm, 10000),
    (
        "a record is replayed without the store",
        Profile::Calm,
        2000,
    ),
    ("a record past its ttl is replayed", Profile::Calm, 200),
    ("a duplicate waited for the record", Profile::Calm, 500),
    (
        "a duplicate is told that it is in progress",
        Profile::Calm,
        1000,
    ),
    ("another payload is refused", Profile::Calm, 500),
    ("nobody knows what became of it", Profile::Crashes, 700),
    ("the store is unavailable", Profile::Outages, 3000),
    ("an answer is not stored yet", Profile::Outages, 300),
    ("the work panics", Profile::Calm, 200),
    ("the work has to end at a step", Profile::Outages, 200),
    ("a slot is deleted and used again", Profile::Calm, 300),
    ("many leases are renewed at once", Profile::Calm, 60),
    (
        "the store lost acknowledged writes",
        Profile::Failover,
        2500,
    ),
    (
        "the promise was broken by the store",
        Profile::Failover,
        500,
    ),
    (
        "a process died while it owned a slot",
        Profile::Crashes,
        900,
    ),
    (
        "a process stood still while it owned a slot",
        Profile::Stops,
        1000,
    ),
];

/// What was met.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    schedules: u64,
    events: u64,
    outcomes: BTreeSet<u64>,
    situations: BTreeMap<&'static str, u64>,
    /// How often each transition of a slot came under each fault.
    transitions: BTreeMap<(&'static str, &'static str), u64>,
}

impl Coverage {
    /// Looks at one more schedule.
    pub fn add(&mut self, played: &Played) {
        self.schedules += 1;
        self.events += played.history.events.len() as u64;
        let mut look = Look {
            coverage: self,
            calls: HashMap::new(),
            runs: HashMap::new(),
            slots: HashMap::new(),
            fault: "none",
            answers: BTreeMap::new(),
            renewed_at: (Duration::MAX, 0),
            deleted: BTreeSet::new(),
        };
        for event in &played.history.events {
            look.at(event.at, &event.what);
        }
        let mut hasher = DefaultHasher::new();
        look.answers.hash(&mut hasher);
        played.profile.hash(&mut hasher);
        let hash = hasher.finish();
        self.outcomes.insert(hash);
        if played.verdict.promise == Promise::BrokenByStore {
            self.met("the promise was broken by the store");
        }
    }

    /// The situations of this profile that were met less often than they have to be, with
    /// how often they were and how often they have to be.
    #[must_use]
    pub fn too_rare(&self, profile: Profile) -> Vec<(&'static str, u64, u64)> {
        SITUATIONS
            .iter()
            .filter(|(_, of, _)| *of == profile)
            .map(|(situation, _, least)| (*situation, self.count(situation), *least))
            .filter(|(_, count, least)| count < least)
            .collect()
    }

    /// How often this was met.
    #[must_use]
    pub fn count(&self, situation: &str) -> u64 {
        self.situations.get(situation).copied().unwrap_or(0)
    }

    /// How many schedules ended differently: with other answers, attempts, transitions
    /// or faults.
    #[must_use]
    pub fn outcomes(&self) -> usize {
        self.outcomes.len()
    }

    fn met(&mut self, situation: &'static str) {
        debug_assert!(SITUATIONS.iter().any(|(known, ..)| *known == situation));
        *self.situations.entry(situation).or_default() += 1;
    }
}

/// A table of what was met.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} schedules, {} events, {} distinct outcomes",
            self.schedules,
            self.events,
            self.outcomes.len()
        )?;
        for (situation, ..) in SITUATIONS {
            writeln!(f, "{:>9}  {situation}", self.count(situation))?;
        }
        let faults: BTreeSet<_> = self.transitions.keys().map(|(_, fault)| *fault).collect();
        let transitions: BTreeSet<_> = self.transitions.keys().map(|(it, _)| *it).collect();
        write!(f, "{:>32}", "")?;
        for fault in &faults {
            write!(f, "{fault:>10}")?;
        }
        writeln!(f)?;
        for transition in transitions {
            write!(f, "{transition:>32}")?;
            for fault in &faults {
                let count = self.transitions.get(&(transition, fault)).unwrap_or(&0);
                write!(f, "{count:>10}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// One schedule, while it is looked at.
struct Look<'a> {
    coverage: &'a mut Coverage,
    calls: HashMap<CallId, Asked>,
    runs: HashMap<RunId, Running>,
    slots: HashMap<Place, Slot>,
    /// What went wrong last.
    fault: &'static str,
    /// How often which answer, attempt, transition or fault.
    answers: BTreeMap<(&'static str, u32), u32>,
    renewed_at: (Duration, u32),
    deleted: BTreeSet<Place>,
}

struct Asked {
    place: Place,
    /// How many commands of its slot had been applied when it was sent.
    applied_when_sent: u64,
    in_flight_when_sent: bool,
    began: bool,
}

struct Running {
    node: u32,
    place: Place,
    call: Option<CallId>,
    fence: Option<u64>,
    kept_a_step: bool,
    stood_still: bool,
    is_over: bool,
}

#[derive(Default)]
struct Slot {
    owner: u64,
    fence: u64,
    state: State,
    ran: bool,
    applied: u64,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum State {
    #[default]
    Absent,
    InFlight,
    Completed,
    Released,
}

impl Look<'_> {
    fn met(&mut self, situation: &'static str) {
        self.coverage.met(situation);
    }

    fn tell(&mut self, what: &'static str, number: u32) {
        *self.answers.entry((what, number)).or_default() += 1;
    }

    fn transition(&mut self, transition: &'static str) {
        let key = (transition, self.fault);
        *self.coverage.transitions.entry(key).or_default() += 1;
        self.tell(transition, 0);
    }

    fn at(&mut self, at: Duration, what: &What) {
        match what {
            What::Sent { call, place, .. } => {
                let slot = self.slots.get(place);
                let asked = Asked {
                    place: *place,
                    applied_when_sent: slot.map_or(0, |it| it.applied),
                    in_flight_when_sent: slot.is_some_and(|it| it.state == State::InFlight),
                    began: false,
                };
                self.calls.insert(*call, asked);
            }
            What::Answered { call, answer } => self.answered(*call, answer),
            What::Abandoned { call, why } => {
                let goes_on = self
                    .runs
                    .values()
                    .any(|run| run.call == Some(*call) && !run.is_over);
                if goes_on && *why == Abandoned::ClientLeft {
                    self.met("the work goes on without its client");
                }
                self.tell("left", 0);
            }
            What::Began {
                run,
                call,
                node,
                place,
                fence,
                ..
            } => {
                if let Some(call) = call
                    && let Some(asked) = self.calls.get_mut(call)
                {
                    asked.began = true;
                }
                if let Some(slot) = self.slots.get_mut(place) {
                    slot.ran = true;
                }
                let running = Running {
                    node: *node,
                    place: *place,
                    call: *call,
                    fence: *fence,
                    kept_a_step: false,
                    stood_still: false,
                    is_over: false,
                };
                self.runs.insert(*run, running);
            }
            What::Ended { run, end } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.is_over = true;
                }
                if *end == End::Stopped {
                    self.met("the work has to end at a step");
                    self.woke_between_steps(*run, true);
                }
            }
            What::Cut { run } => {
                self.met("a process died while it owned a slot");
                if let Some(run) = self.runs.get_mut(run) {
                    run.is_over = true;
                    if run.kept_a_step {
                        self.met("a process died between two steps");
                    }
                }
            }
            What::StepBegan { run, .. } => self.woke_between_steps(*run, false),
            What::StepKept { run, .. } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.kept_a_step = true;
                    run.stood_still = false;
                }
            }
            What::Node { node, change } => self.node(*node, *change),
            What::OutageBegan => self.fault = "outage",
            What::Disturbed { .. } => self.fault = "network",
            What::LostWrites { .. } => {
                self.fault = "failover";
                self.met("the store lost acknowledged writes");
            }
            What::Applied { place, command } => self.applied(at, *place, command),
            _ => {}
        }
    }

    fn node(&mut self, node: u32, change: Change) {
        self.fault = match change {
            Change::Crashed | Change::Restarted => "crash",
            Change::Stopped | Change::Woke => "stop",
        };
        if change != Change::Stopped {
            return;
        }
        let mut owned = 0;
        for run in self.runs.values_mut() {
            if run.node == node && !run.is_over {
                run.stood_still = true;
                owned += 1;
            }
        }
        for _ in 0..owned {
            self.met("a process stood still while it owned a slot");
        }
    }

    fn woke_between_steps(&mut self, run: RunId, at_its_end: bool) {
        let Some(run) = self.runs.get(&run) else {
            return;
        };
        if !run.stood_still {
            return;
        }
        let (place, fence) = (run.place, run.fence);
        if !at_its_end {
            self.met("a process woke between two steps");
        }
        let newest = self.slots.get(&place).map(|slot| slot.fence);
        if fence < newest {
            self.met("a process woke between two steps, and had been replaced");
        }
    }

    fn answered(&mut self, call: CallId, answer: &Answer) {
        let (name, situation) = match answer {
            Answer::Fresh { .. } => ("fresh", None),
            Answer::NotStored { .. } => ("not stored", Some("an answer is not stored yet")),
            Answer::Released { .. } => ("released", None),
            Answer::Replayed { expired: true, .. } => {
                ("expired", Some("a record past its ttl is replayed"))
            }
            Answer::Replayed { .. } => ("replayed", Some("a record is replayed")),
            Answer::InProgress => (
                "in progress",
                Some("a duplicate is told that it is in progress"),
            ),
            Answer::KeyReused => ("key reused", Some("another payload is refused")),
            Answer::OutcomeUnknown => ("unknown", Some("nobody knows what became of it")),
            Answer::StoreUnavailable => ("unavailable", Some("the store is unavailable")),
            Answer::WorkPanicked => ("panicked", Some("the work panics")),
            Answer::Stopped => ("stopped", None),
            Answer::Unprotected { .. } => ("unprotected", None),
            Answer::Other(_) => ("other", None),
        };
        self.tell(name, 0);
        if let Some(situation) = situation {
            self.met(situation);
        }
        let Some(asked) = self.calls.get(&call) else {
            return;
        };
        if matches!(answer, Answer::Replayed { .. }) {
            let (began, waited) = (asked.began, asked.in_flight_when_sent);
            let applied = self.slots.get(&asked.place).map_or(0, |slot| slot.applied);
            let unasked = applied == asked.applied_when_sent;
            if began {
                self.met("the one who was replaced gets the record");
            } else if waited {
                self.met("a duplicate waited for the record");
            }
            if unasked {
                self.met("a record is replayed without the store");
            }
        }
    }

    fn applied(&mut self, at: Duration, place: Place, command: &Command) {
        let slot = self.slots.entry(place).or_default();
        slot.applied += 1;
        let (before, owner, fence, ran) = (slot.state, slot.owner, slot.fence, slot.ran);
        match command {
            Command::Deleted => {
                *slot = Slot {
                    applied: slot.applied,
                    ..Slot::default()
                };
                self.deleted.insert(place);
                self.transition("deleted");
            }
            Command::Claim {
                owner: by, reply, ..
            } => match reply {
                Claimed::Won {
                    fence: got,
                    attempt,
                    steps,
                    ..
                } => {
                    let again = before == State::InFlight && (owner, fence) == (*by, *got);
                    slot.owner = *by;
                    slot.fence = *got;
                    slot.state = State::InFlight;
                    slot.ran &= again;
                    self.tell("attempt", *attempt);
                    if again {
                        self.met("a claim in flight is asked for again");
                        return self.transition("in flight: claimed again");
                    }
                    if !steps.is_empty() {
                        self.met("a finished step is handed over");
                    }
                    match before {
                        State::InFlight => {
                            self.met("a lapsed lease is taken over");
                            self.transition("lapsed: taken over");
                        }
                        State::Released => {
                            self.met("a released slot is claimed again");
                            self.transition("released: claimed");
                        }
                        _ => {
                            if self.deleted.contains(&place) {
                                self.met("a slot is deleted and used again");
                            }
                            self.transition("absent: claimed");
                        }
                    }
                }
                Claimed::InFlight if before == State::Released => {
                    self.met("a claim that is over arrives late");
                    self.transition("released: a late claim");
                }
                Claimed::InFlight => self.transition("in flight: kept out"),
                Claimed::Mismatch => self.transition("another payload"),
                Claimed::Completed { .. } => self.transition("completed: claimed"),
                Claimed::Unknown => self.transition("lapsed: refused"),
            },
            Command::Write {
                owner: by,
                fence: with,
                write,
                done,
            } => {
                if matches!(write, Write::Renew) {
                    self.renewal(at);
                }
                let (done_as, fenced_as, fenced) = match write {
                    Write::Renew => ("renewed", "renewal: fenced", "a renewal is fenced"),
                    Write::Step(_) => ("step kept", "step: fenced", "a step is fenced"),
                    Write::Complete(_) => {
                        ("completed", "completion: fenced", "a completion is fenced")
                    }
                    Write::Release => ("released", "release: fenced", "a release is fenced"),
                };
                if !*done {
                    self.met(fenced);
                    return self.transition(fenced_as);
                }
                let holds = (owner, fence) == (*by, *with);
                match (write, before) {
                    (Write::Complete(_), State::Completed) => {
                        self.met("a completion is asked for again");
                        return self.transition("completed again");
                    }
                    (Write::Release, State::Released) => {
                        self.met("a release is asked for again");
                        return self.transition("released again");
                    }
                    (Write::Release, _) if holds && !ran => {
                        self.met("a claim without an answer is settled");
                    }
                    _ => {}
                }
                if let Some(slot) = self.slots.get_mut(&place) {
                    match write {
                        Write::Complete(_) => slot.state = State::Completed,
                        Write::Release => slot.state = State::Released,
                        Write::Renew | Write::Step(_) => {}
                    }
                }
                self.transition(done_as);
            }
        }
    }

    fn renewal(&mut self, at: Duration) {
        if self.renewed_at.0 != at {
            self.renewed_at = (at, 0);
        }
        self.renewed_at.1 += 1;
        if self.renewed_at.1 == 4 {
            self.met("many leases are renewed at once");
        }
    }
}
