//! What happened, in the order of one observer's clock.
//!
//! A history is made by a simulation, or by a test that watches real processes. Both write the
//! same events; only a simulation sees what its store applies ([`What::Applied`]), and the
//! checker says which of its checks it could not make without that.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// One request of a client.
pub type CallId = u64;
/// One execution of the work.
pub type RunId = u64;
/// One process.
pub type NodeId = u32;
/// What a request asks: two payloads have two fingerprints.
pub type PayloadId = u32;
/// The bytes of an answer. Each execution should produce its own, so that the checker can
/// tell whose answer was given.
pub type Body = String;

/// One key of one scope: what has a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Whose key it is.
    pub scope: u32,
    /// Which key.
    pub key: u32,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}/k{}", self.scope, self.key)
    }
}

/// How a key is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// How long an owner may stay silent.
    pub lease: Duration,
    /// How long a record is promised, and a released slot kept.
    pub ttl: Duration,
    /// How long a record is kept after that.
    pub grace: Duration,
    /// Whether a silent owner's slot is refused rather than taken over.
    pub refuse: bool,
}

impl Default for Rules {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            lease: Duration::from_secs(30),
            ttl: DAY,
            grace: DAY,
            refuse: false,
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, since the observer began to look.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A client sent a request.
    Sent {
        /// Which: its answer names it.
        call: CallId,
        /// To whom.
        node: NodeId,
        /// The key.
        place: Place,
        /// What it asks.
        payload: PayloadId,
        /// When it must be answered at the latest if its node stays well; `None`
        /// where nobody knows.
        answer_by: Option<Duration>,
    },
    /// It was answered.
    Answered {
        /// Which.
        call: CallId,
        /// With what.
        answer: Answer,
    },
    /// It was left without an answer: the client did not wait any longer, or its
    /// connection broke. Whatever the request began may go on.
    Abandoned {
        /// Which.
        call: CallId,
        /// Why.
        why: Abandoned,
    },
    /// An execution began.
    Began {
        /// Which.
        run: RunId,
        /// For which request, where that is known.
        call: Option<CallId>,
        /// Where.
        node: NodeId,
        /// The key.
        place: Place,
        /// What it was asked.
        payload: PayloadId,
        /// Its attempt, where the work can know it.
        attempt: Option<u32>,
        /// Its fence, where the work can know it.
        fence: Option<u64>,
    },
    /// The execution had its effect.
    Effect {
        /// Which.
        run: RunId,
    },
    /// The execution came to its end.
    Ended {
        /// Which.
        run: RunId,
        /// How.
        end: End,
    },
    /// The execution was cut off by the death of its process.
    Cut {
        /// Which.
        run: RunId,
    },
    /// The execution was dropped although its process lives.
    Dropped {
        /// Which.
        run: RunId,
    },
    /// A step of an execution began.
    StepBegan {
        /// Of which.
        run: RunId,
        /// The step's name.
        step: String,
    },
    /// The step had its effect.
    StepEffect {
        /// Of which.
        run: RunId,
        /// The step's name.
        step: String,
    },
    /// The step's result is kept: the work was told so.
    StepKept {
        /// Of which.
        run: RunId,
        /// The step's name.
        step: String,
    },
    /// Something happened to a process.
    Node {
        /// To which.
        node: NodeId,
        /// What.
        change: Change,
    },
    /// The store is out of everybody's reach, or slower than any lease.
    OutageBegan,
    /// The store is back.
    OutageEnded,
    /// A command of this node was lost, late, or lost its reply, so that a lease may
    /// not have been renewed.
    Disturbed {
        /// Whose.
        node: NodeId,
    },
    /// The store has lost writes that it had acknowledged (a failover without
    /// durability).
    LostWrites {
        /// Of which slots; `None` if nobody knows.
        places: Option<Vec<Place>>,
    },
    /// The lease of this node's executions may have lapsed for a reason that the other
    /// events do not show (a starved machine).
    LeaseMayHaveLapsed {
        /// Whose; `None`: anybody's.
        node: Option<NodeId>,
    },
    /// The store applied a command. Only simulations see this.
    Applied {
        /// On which slot.
        place: Place,
        /// What, and with which answer.
        command: Command,
    },
    /// Nothing is asked of this node any more, and it was drained.
    Drained {
        /// Which.
        node: NodeId,
        /// What it still holds: pairs of a name and a number.
        left: Vec<(String, u64)>,
    },
    /// Something of idem's panicked.
    Panicked {
        /// Where.
        node: NodeId,
        /// The message.
        message: String,
    },
    /// Words for the reader, which the checker does not look at.
    Note(String),
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The work ran, and its answer is recorded.
    Fresh {
        /// The answer.
        body: Body,
    },
    /// The work ran, and its answer was not recorded yet (`Idempotency-Stored: false`),
    /// or will never be. It promises nothing.
    NotStored {
        /// The answer.
        body: Body,
    },
    /// The work ran and failed, and its slot is given back. It promises nothing.
    Released {
        /// The answer.
        body: Body,
    },
    /// The recorded answer.
    Replayed {
        /// The answer.
        body: Body,
        /// Whether its ttl has passed.
        expired: bool,
    },
    /// `409 in-progress`.
    InProgress,
    /// `409 key-reused`.
    KeyReused,
    /// `409 outcome-unknown`.
    OutcomeUnknown,
    /// `503 store-unavailable`: the work did not run.
    StoreUnavailable,
    /// The work panicked.
    WorkPanicked,
    /// The work had to end at one of its steps.
    Stopped,
    /// The work ran without protection.
    Unprotected {
        /// The answer.
        body: Body,
    },
    /// Anything else, in words.
    Other(String),
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Abandoned {
    /// The client went away.
    ClientLeft,
    /// The connection broke, or the process died.
    ConnectionLost,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With an answer that is to be recorded.
    Record(Body),
    /// With an answer that is not.
    Release(Body),
    /// With a panic.
    Panic,
    /// At a step that had no result: nothing of it is to be recorded.
    Stopped,
}

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It died, with everything that it was doing.
    Crashed,
    /// It stands still, and its clock goes on.
    Stopped,
    /// It goes on.
    Woke,
    /// It began anew.
    Restarted,
}

/// A command as the store applied it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A claim.
    Claim {
        /// By whom.
        owner: u64,
        /// From which process.
        node: NodeId,
        /// For which request, where that is known.
        call: Option<CallId>,
        /// For what.
        payload: PayloadId,
        /// Whether taking over is refused.
        refuse: bool,
        /// The answer.
        reply: Claimed,
    },
    /// A write under a grant.
    Write {
        /// Whose grant.
        owner: u64,
        /// Its fence.
        fence: u64,
        /// What is written.
        write: Write,
        /// Whether the answer is `Done`, rather than `Fenced`.
        done: bool,
    },
    /// The slot is physically deleted.
    Deleted,
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claimed {
    /// It is won.
    Won {
        /// Its fence.
        fence: u64,
        /// Its attempt.
        attempt: u32,
        /// Whether from an owner that fell silent.
        taken_over: bool,
        /// The steps that are finished.
        steps: Vec<String>,
    },
    /// Somebody else is at work.
    InFlight,
    /// It belongs to another payload.
    Mismatch,
    /// It is completed.
    Completed {
        /// The record.
        body: Body,
        /// Whether its ttl has passed.
        expired: bool,
    },
    /// Nobody knows what became of it.
    Unknown,
}

/// What a grant can write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// The lease begins anew.
    Renew,
    /// A step is finished.
    Step(String),
    /// The answer.
    Complete(Body),
    /// Nothing: a retry may run.
    Release,
}

/// All that happened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// In order of time.
    pub events: Vec<Event>,
    /// How keys are treated.
    pub rules: Rules,
    /// Where a key is treated otherwise.
    pub exceptions: BTreeMap<Place, Rules>,
    /// Whether [`What::Applied`] is there.
    pub sees_store: bool,
    /// Whether the executions are there.
    pub sees_runs: bool,
    /// By how much clocks of different observers may be apart, if events were gathered
    /// from several: what happened within it happened at once.
    pub blur: Duration,
}

impl History {
    /// Puts the events in order. What happened at the same time stays in the order
    /// in which it was noted.
    pub fn sort(&mut self) {
        self.events.sort_by_key(|event| event.at);
    }

    /// How this key is treated.
    #[must_use]
    pub fn rules(&self, place: Place) -> Rules {
        self.exceptions.get(&place).copied().unwrap_or(self.rules)
    }
}

/// One line for each event.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(f, "{event}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>11.6}  {:?}", self.at.as_secs_f64(), self.what)
    }
}

/// Notes what happens. Clones write to the same history.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Event>>>);

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub fn note(&self, at: Duration, what: What) {
        self.lock().push(Event { at, what });
    }

    /// What was noted so far, in the order in which it was.
    #[must_use]
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.lock())
    }
}
