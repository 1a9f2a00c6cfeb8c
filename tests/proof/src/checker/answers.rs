//! What clients were told.

use std::collections::BTreeMap;

use super::{
    Invariant, Violation,
    index::{Call, Index},
    model::Log,
    violation,
};
use crate::history::{Answer, CallId, End, History, PayloadId, Place};

pub(super) fn check(history: &History, index: &Index<'_>, log: &Log, found: &mut Vec<Violation>) {
    let checked = Answers {
        history,
        index,
        log,
        made: made(index),
    };
    let mut promised = BTreeMap::new();
    let mut answered: Vec<_> = index.calls.iter().collect();
    answered.sort_by_key(|(id, call)| (call.over(), **id));
    for (id, call) in answered {
        checked.answer(*id, call, &mut promised, found);
    }
}

struct Answers<'a> {
    history: &'a History,
    index: &'a Index<'a>,
    log: &'a Log,
    /// By which execution of which key and payload each body was made.
    made: BTreeMap<&'a str, (Place, PayloadId)>,
}

fn made<'a>(index: &'a Index<'_>) -> BTreeMap<&'a str, (Place, PayloadId)> {
    let mut made = BTreeMap::new();
    for run in index.runs.values() {
        if let Some((_, End::Record(body) | End::Release(body))) = run.ended {
            made.insert(body.as_str(), (run.place, run.payload));
        }
    }
    made
}

impl<'a> Answers<'a> {
    fn answer(
        &self,
        id: CallId,
        call: &Call<'a>,
        promised: &mut BTreeMap<(Place, usize), &'a str>,
        found: &mut Vec<Violation>,
    ) {
        let Some((at, answer)) = call.answer else {
            return;
        };
        let mut fault =
            |invariant, what: String| found.push(violation(invariant, call.place, at, what));
        if let Some(body) = body(answer)
            && self.history.sees_runs
        {
            match self.made.get(body) {
                // What is not recorded is the work's own affair.
                None if !is_promise(answer) => {}
                None => fault(
                    Invariant::I3,
                    format!("request {id} got {body:?}, which no execution has made"),
                ),
                Some((place, _)) if place.scope != call.place.scope => fault(
                    Invariant::I6,
                    format!("request {id} got {body:?}, which is of {place:?}"),
                ),
                Some((_, payload)) if *payload != call.payload => fault(
                    Invariant::I5,
                    format!("request {id} got {body:?}, which is of payload {payload}"),
                ),
                Some((place, _)) if *place != call.place => fault(
                    Invariant::I3,
                    format!("request {id} got {body:?}, which is of {place:?}"),
                ),
                Some(_) => {}
            }
        }
        match answer {
            Answer::Fresh { body } | Answer::Replayed { body, .. } => {
                let generation = self.index.generation(call.place, at);
                if generation == self.index.generation(call.place, call.sent) {
                    let first = promised.entry((call.place, generation)).or_insert(body);
                    if *first != body {
                        fault(
                            Invariant::I3,
                            format!("request {id} got {body:?}, and one before it {first:?}"),
                        );
                    }
                }
            }
            Answer::KeyReused
                if !self
                    .others(id, call)
                    .any(|other| other.payload != call.payload) =>
            {
                let what = format!(
                    "request {id} is refused as reused, and nobody has sent another payload"
                );
                fault(self.alone(call, Invariant::I5), what);
            }
            Answer::InProgress => {
                let in_flight = if self.history.sees_store {
                    self.log.is_held(call.place, id, call.sent, at)
                } else {
                    self.others(id, call).next().is_some()
                };
                if !in_flight {
                    let what = format!(
                        "request {id} is told that something is in progress, and nothing is"
                    );
                    fault(self.alone(call, Invariant::InProgress), what);
                }
            }
            Answer::OutcomeUnknown if !self.history.rules(call.place).refuse => {
                fault(
                    Invariant::Refuse,
                    format!("request {id} is refused, and its key may be taken over"),
                );
            }
            Answer::StoreUnavailable => {
                let is_known = self.history.sees_store;
                if is_known && !self.index.is_disturbed(call.node, call.sent, at) {
                    fault(
                        Invariant::I9,
                        format!("request {id} is told that the store failed, and it did not"),
                    );
                }
            }
            _ => {}
        }
    }

    /// The requests of the same key that were sent before this one was answered.
    fn others(&self, id: CallId, call: &Call<'_>) -> impl Iterator<Item = &Call<'a>> {
        let by = call.over().unwrap_or(self.index.end) + self.history.blur;
        let calls = self.index.places[&call.place].calls.iter();
        calls
            .filter(move |other| **other != id)
            .map(|other| &self.index.calls[other])
            .filter(move |other| other.sent <= by)
    }

    /// Who is alone with its key and is told of somebody has been told of another scope's.
    fn alone(&self, call: &Call<'_>, otherwise: Invariant) -> Invariant {
        let is_alone = self.index.places[&call.place]
            .calls
            .iter()
            .all(|other| self.index.calls[other].payload == call.payload);
        let elsewhere = |place: &&Place| place.key == call.place.key && **place != call.place;
        if is_alone && self.index.places.keys().any(|place| elsewhere(&place)) {
            return Invariant::I6;
        }
        otherwise
    }
}

/// Whether a later request is to get the same.
const fn is_promise(answer: &Answer) -> bool {
    matches!(answer, Answer::Fresh { .. } | Answer::Replayed { .. })
}

/// The answer's body, if it has one.
fn body(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Fresh { body }
        | Answer::NotStored { body }
        | Answer::Released { body }
        | Answer::Replayed { body, .. }
        | Answer::Unprotected { body } => Some(body),
        _ => None,
    }
}
