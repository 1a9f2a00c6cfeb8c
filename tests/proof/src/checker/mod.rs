//! Whether a history is one that idem promises.
//!
//! Each key's events are held against a sequential model of the protocol, and each broken
//! promise is named by its [`Invariant`]. A history of real servers has no store log; the
//! checks that need one are then listed in [`Verdict::skipped`].
//!
//! What a store loses that it had acknowledged is a promise broken by the store: the verdict
//! says so ([`Promise::BrokenByStore`]) and lists what came of it apart from what the runtime
//! has to answer for.

mod answers;
mod index;
mod limits;
mod model;
mod runs;
mod steps;

use std::{fmt, time::Duration};

use self::index::Index;
use crate::history::{Event, History, Place, What};

/// What must hold, whatever fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// At most one live owner of a slot at any time, on the store's clock.
    I1,
    /// A write with an old fence changes nothing.
    I2,
    /// Once completed, a record never changes; every reader gets the same bytes.
    I3,
    /// A slot with a completed record never runs again before physical deletion.
    I4,
    /// A different payload never gets another's answer and never runs.
    I5,
    /// A different scope never sees, blocks or learns of another's record.
    I6,
    /// A client that leaves neither loses the record nor makes the work run twice.
    I7,
    /// A lost reply to any store command, retried, is indistinguishable from one command.
    I8,
    /// Nothing panics, hangs past its deadline, or grows without bound.
    I9,
    /// One execution, unless there is a reason for another.
    Once,
    /// Each execution's attempt is one more than that of the one before.
    Attempts,
    /// `in-progress` is said only while something may be in flight, and a slot whose
    /// owner fell silent may be had.
    InProgress,
    /// A finished step never runs again.
    Steps,
    /// Under *refuse* nobody runs after an owner that fell silent.
    Refuse,
}

impl Invariant {
    /// Whether losing acknowledged writes can break it.
    const fn needs_durability(self) -> bool {
        !matches!(self, Self::I6 | Self::I9)
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::I1 => "at most one live owner",
            Self::I2 => "an old fence changes nothing",
            Self::I3 => "a record never changes",
            Self::I4 => "what is recorded never runs again",
            Self::I5 => "another payload never gets the answer and never runs",
            Self::I6 => "scopes never see each other",
            Self::I7 => "a client that leaves loses and repeats nothing",
            Self::I8 => "a repeated command is one command",
            Self::I9 => "nothing panics, hangs or is left over",
            Self::Once => "one execution, unless there is a reason for another",
            Self::Attempts => "attempts grow by one",
            Self::InProgress => "in-progress only while something is",
            Self::Steps => "a finished step never runs again",
            Self::Refuse => "nobody runs after a silent owner under refuse",
        };
        write!(f, "{self:?}: {words}")
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Of which key; `None`: of none in particular.
    pub place: Option<Place>,
    /// When it was seen.
    pub at: Duration,
    /// In words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} — at {:.6}", self.invariant, self.at.as_secs_f64())?;
        if let Some(place) = self.place {
            write!(f, ", {place:?}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Whether *one key, one effect, one answer* has held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing contradicts it.
    Held,
    /// The store lost what it had acknowledged, and an effect or an answer was lost or
    /// repeated because of it. No client of such a store can promise more.
    BrokenByStore,
    /// The runtime broke it.
    Broken,
}

/// What the checker has to say of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the promise has held.
    pub promise: Promise,
    /// What the runtime, or a store that applies commands wrongly, has to answer for.
    pub violations: Vec<Violation>,
    /// What came of writes that the store lost.
    pub lost: Vec<Violation>,
    /// Which checks could not be made of this history, and why.
    pub skipped: Vec<&'static str>,
}

impl Verdict {
    /// Whether nothing is to be held against the runtime.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The violations, and what happened to their keys.
    #[must_use]
    pub fn explain(&self, history: &History) -> String {
        let mut text = String::new();
        for violation in self.violations.iter().take(3) {
            text.push_str(&format!("{violation}\n"));
        }
        if self.violations.len() > 3 {
            text.push_str(&format!("… and {} more\n", self.violations.len() - 3));
        }
        if let Some(first) = self.violations.first() {
            text.push_str("what happened to it:\n");
            for event in slice(history, first) {
                text.push_str(&format!("{event}\n"));
            }
        }
        text
    }
}

/// The events that a violation is about: those of its key and of the processes, up to
/// a while after it was seen.
#[must_use]
pub fn slice<'a>(history: &'a History, violation: &Violation) -> Vec<&'a Event> {
    let index = Index::of(history);
    let until = violation.at + history.rules.lease;
    history
        .events
        .iter()
        .filter(|event| event.at <= until)
        .filter(|event| {
            let Some(place) = violation.place else {
                return true;
            };
            match &event.what {
                What::Disturbed { .. } => false,
                what => index.place_of(what).is_none_or(|of| of == place),
            }
        })
        .collect()
}

/// Holds a history against what is promised.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let index = Index::of(history);
    let mut found = Vec::new();
    let mut skipped = Vec::new();
    let log = if history.sees_store {
        model::check(history, &index, &mut found)
    } else {
        skipped.push("I1, I2, I8 on the store's clock, and I3 to I5 command by command: there is no log of the store");
        skipped
            .push("in-progress is held against other requests only: there is no log of the store");
        model::Log::default()
    };
    if history.sees_runs {
        runs::check(history, &index, &log, &mut found);
        steps::check(history, &index, &log, &mut found);
    } else {
        skipped.push("I1, I4, I7, executions, attempts and steps: executions were not seen");
    }
    answers::check(history, &index, &log, &mut found);
    limits::check(history, &index, &mut found);
    if !index.says_deadlines {
        skipped.push("I9: no request says when it must be answered");
    }
    found.sort_by_key(|violation| violation.at);
    let (lost, violations): (Vec<_>, Vec<_>) = found.into_iter().partition(|violation| {
        violation.invariant.needs_durability()
            && index.lost_before(violation.place, violation.at + history.blur)
    });
    let promise = match (violations.is_empty(), lost.is_empty()) {
        (true, true) => Promise::Held,
        (true, false) => Promise::BrokenByStore,
        (false, _) => Promise::Broken,
    };
    Verdict {
        promise,
        violations,
        lost,
        skipped,
    }
}

fn violation(
    invariant: Invariant,
    place: impl Into<Option<Place>>,
    at: Duration,
    what: impl Into<String>,
) -> Violation {
    Violation {
        invariant,
        place: place.into(),
        at,
        what: what.into(),
    }
}
