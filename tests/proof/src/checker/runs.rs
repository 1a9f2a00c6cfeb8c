//! Which executions there were, and whether there was a reason for each.

use std::collections::BTreeMap;

use super::{
    Invariant, Violation,
    index::{Index, Run},
    model::Log,
    violation,
};
use crate::history::{Abandoned, Answer, End, History, Place, RunId};

pub(super) fn check(history: &History, index: &Index<'_>, log: &Log, found: &mut Vec<Violation>) {
    let checked = Runs {
        history,
        index,
        log,
    };
    for (place, events) in &index.places {
        let mut generations: BTreeMap<usize, Vec<(RunId, &Run<'_>)>> = BTreeMap::new();
        for id in &events.runs {
            let run = &index.runs[id];
            let generation = index.generation(*place, run.began);
            generations.entry(generation).or_default().push((*id, run));
        }
        for runs in generations.values() {
            checked.generation(*place, runs, found);
        }
    }
    for (id, run) in &index.runs {
        checked.run(*id, run, found);
    }
}

struct Runs<'a> {
    history: &'a History,
    index: &'a Index<'a>,
    log: &'a Log,
}

impl Runs<'_> {
    /// What holds of one execution alone.
    fn run(&self, id: RunId, run: &Run<'_>, found: &mut Vec<Violation>) {
        let mut fault =
            |invariant, at, what: String| found.push(violation(invariant, run.place, at, what));
        if let Some(at) = run.dropped {
            fault(
                Invariant::I7,
                at,
                format!("execution {id} was dropped on its way"),
            );
        }
        if let Some(call) = run.call.and_then(|call| self.index.calls.get(&call)) {
            if call.place.scope != run.place.scope {
                fault(
                    Invariant::I6,
                    run.began,
                    format!("execution {id} is of another scope than its request"),
                );
            } else if call.place != run.place || call.payload != run.payload {
                fault(
                    Invariant::I5,
                    run.began,
                    format!("execution {id} is of another payload than its request"),
                );
            }
        }
        let record = self.first_record(run);
        if let Some(at) = record
            && at + self.history.blur < run.began
        {
            fault(
                Invariant::I4,
                run.began,
                format!(
                    "execution {id} began, and the record was there since {:.6}",
                    at.as_secs_f64()
                ),
            );
        }
        if let Some(fence) = run.fence
            && self.history.sees_store
        {
            let generation = self.index.generation(run.place, run.began);
            let mut later = self.log.won(run.place).iter();
            let later = later.find(|won| {
                won.fence > fence
                    && won.at <= run.began
                    && self.index.generation(run.place, won.at) == generation
            });
            if let Some(later) = later {
                fault(
                    Invariant::I1,
                    run.began,
                    format!(
                        "execution {id} began with fence {fence}, and {} was given away",
                        later.fence
                    ),
                );
            }
            self.outcome_is_kept(id, run, fence, &mut fault);
        }
    }

    /// An answer to be recorded is recorded, and any other outcome gives the slot back, if
    /// the process lives and nobody has taken over.
    fn outcome_is_kept(
        &self,
        id: RunId,
        run: &Run<'_>,
        fence: u64,
        fault: &mut impl FnMut(Invariant, std::time::Duration, String),
    ) {
        let Some((at, end_of_run)) = run.ended else {
            return;
        };
        let end = self.index.end;
        let is_given_up = self.index.generation(run.place, run.began)
            != self.index.generation(run.place, end)
            || self.index.has_crashed(run.node, at, end)
            || (self.log.is_taken_over(run.place, fence, run.began, end)
                && self.is_excusably_replaced(run, at))
            || at + self.history.rules(run.place).ttl >= end;
        if is_given_up {
            return;
        }
        let records = matches!(end_of_run, End::Record(_));
        if records && !self.log.is_completed_by(run.place, fence, at) {
            fault(
                Invariant::I7,
                end,
                format!("the record of execution {id} is lost, and its process is alive"),
            );
        }
        if !records && !self.log.is_released_by(run.place, fence, at) {
            fault(
                Invariant::InProgress,
                end,
                format!("execution {id} kept nothing, and its slot is not given back"),
            );
        }
    }

    /// Whether its lease may have lapsed before its outcome was stored.
    fn is_excusably_replaced(&self, run: &Run<'_>, ended: std::time::Duration) -> bool {
        let lease = self.history.rules(run.place).lease;
        let until = ended + lease;
        let node = run.node;
        self.index.may_lapse(node, run.began, until, lease)
            || self.index.is_disturbed(node, run.began, until)
    }

    /// When the record was certainly there, in the generation of this execution.
    fn first_record(&self, run: &Run<'_>) -> Option<std::time::Duration> {
        let generation = self.index.generation(run.place, run.began);
        let same = |at: &std::time::Duration| self.index.generation(run.place, *at) == generation;
        if self.history.sees_store {
            return self.log.completed(run.place).iter().copied().find(same);
        }
        let calls = self.index.places[&run.place].calls.iter();
        calls
            .filter_map(|call| self.index.calls[call].answer)
            .filter(|(_, answer)| matches!(answer, Answer::Fresh { .. } | Answer::Replayed { .. }))
            .map(|(at, _)| at)
            .filter(same)
            .min()
    }

    /// What holds of the executions of one key, until it is forgotten.
    fn generation(&self, place: Place, runs: &[(RunId, &Run<'_>)], found: &mut Vec<Violation>) {
        if let Some((id, first)) = runs.first()
            && first.attempt.is_some_and(|attempt| attempt != 1)
            && !self
                .index
                .is_anybody_disturbed(std::time::Duration::ZERO, first.began)
            && !self.has_ghosts(place, first)
        {
            found.push(violation(
                Invariant::Attempts,
                place,
                first.began,
                format!(
                    "execution {id} is the first, and its attempt is {:?}",
                    first.attempt
                ),
            ));
        }
        for (earlier, (id, run)) in runs.iter().enumerate().skip(1) {
            let (before_id, before) = &runs[earlier - 1];
            if let Some((invariant, what)) = self.next(before, run) {
                found.push(violation(
                    invariant,
                    place,
                    run.began,
                    format!("execution {id} after {before_id}: {what}"),
                ));
            }
        }
    }

    /// Whether somebody may have claimed before it and come to nothing.
    fn has_ghosts(&self, place: Place, run: &Run<'_>) -> bool {
        let calls = self.index.places[&place].calls.iter();
        calls
            .map(|call| &self.index.calls[call])
            .filter(|call| call.sent <= run.began)
            .any(|call| {
                matches!(call.answer, Some((_, Answer::StoreUnavailable)))
                    || call.abandoned.is_some()
            })
    }

    /// Whether there was a reason for an execution after this one.
    fn next(&self, before: &Run<'_>, run: &Run<'_>) -> Option<(Invariant, String)> {
        if before.payload != run.payload {
            return Some((Invariant::I5, "of another payload".to_owned()));
        }
        if run.call.is_some() && run.call == before.call {
            let call = run.call.and_then(|call| self.index.calls.get(&call));
            let left = call.is_some_and(|call| call.abandoned.is_some());
            let invariant = if left { Invariant::I7 } else { Invariant::I8 };
            return Some((invariant, "for the same request".to_owned()));
        }
        if before.fence.is_some() && before.fence == run.fence {
            return Some((Invariant::I8, "with the same fence".to_owned()));
        }
        if let (Some(before), Some(attempt)) = (before.attempt, run.attempt)
            && attempt <= before
        {
            let what = format!("attempt {attempt} after attempt {before}");
            return Some((Invariant::Attempts, what));
        }
        self.attempts(before, run)
            .or_else(|| self.reason(before, run))
    }

    fn attempts(&self, before: &Run<'_>, run: &Run<'_>) -> Option<(Invariant, String)> {
        let (Some(first), Some(second)) = (before.attempt, run.attempt) else {
            return None;
        };
        let gap = second - first;
        let excused = self.index.is_anybody_disturbed(before.began, run.began)
            || self.has_ghosts(run.place, run);
        (gap > 1 && !excused).then(|| {
            let what = format!("attempt {second} after attempt {first}");
            (Invariant::Attempts, what)
        })
    }

    fn reason(&self, before: &Run<'_>, run: &Run<'_>) -> Option<(Invariant, String)> {
        let rules = self.history.rules(run.place);
        let until = run.began + self.history.blur;
        let is_released = matches!(
            before.ended,
            Some((at, End::Release(_) | End::Panic | End::Stopped)) if at <= until
        );
        if is_released {
            return None;
        }
        let is_cut = before.cut.is_some_and(|at| at <= until);
        let lapsed = is_cut
            || self
                .index
                .may_lapse(before.node, before.began, until, rules.lease);
        if lapsed && !rules.refuse {
            return None;
        }
        if lapsed {
            return Some((
                Invariant::Refuse,
                "and the one before fell silent".to_owned(),
            ));
        }
        let is_over = before.ended.is_some_and(|(at, _)| at <= run.began);
        if !is_over {
            return Some((
                Invariant::I1,
                "both run, and no lease can have lapsed".to_owned(),
            ));
        }
        let call = before.call.and_then(|call| self.index.calls.get(&call));
        let left = call.and_then(|call| call.abandoned);
        if matches!(left, Some((_, Abandoned::ClientLeft))) {
            return Some((
                Invariant::I7,
                "the client of the one before has left, and its answer is lost".to_owned(),
            ));
        }
        Some((Invariant::Once, "without a reason".to_owned()))
    }
}
