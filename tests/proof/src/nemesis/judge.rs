//! Puts together what was seen, and holds it against what is promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use super::{
    Config,
    books::Account,
    calls::Caller,
    fleet::Node,
    journal::Journal,
    lanes::Faults,
    report::{Counts, Report},
    schedule::LEASE,
    windows::{Window, silences},
    workload,
};
use crate::{
    checker::{self, Invariant, Violation},
    history::{Answer, Change, End, Event, History, NodeId, Place, Rules, RunId, What},
};

/// All that was gathered.
pub(super) struct Evidence<'a> {
    pub(super) config: Config,
    pub(super) caller: &'a Caller,
    pub(super) nodes: &'a [Node],
    pub(super) windows: Vec<Window>,
    pub(super) journal: &'a Path,
    pub(super) faults: Faults,
    pub(super) account: Option<Account>,
    pub(super) violations: Vec<String>,
}

pub(super) fn judge(evidence: Evidence<'_>) -> Report {
    let Evidence {
        config,
        caller,
        nodes,
        mut windows,
        journal,
        faults,
        account,
        mut violations,
    } = evidence;
    let journal = Journal::read(journal, &caller.clock, nodes);
    let seen = caller.recorder.take();
    windows.extend(journal.late.clone());
    let mut events = seen;
    cut(&journal, &mut events);
    events.extend(journal.events.iter().cloned());
    let silent = excuses(nodes, &windows, &mut events);
    for (index, node) in nodes.iter().enumerate() {
        for message in node.panics() {
            violations.push(format!("node {index} panicked: {message}"));
        }
    }
    let history = history(events);
    let mut verdict = checker::check(&history);
    let withdrawn = |violation: &Violation| {
        config.store.fails_over() && told_of_its_own_claim(violation, &windows)
    };
    verdict.violations.retain(|violation| !withdrawn(violation));
    violations.extend(
        journal
            .unreadable
            .iter()
            .map(|line| format!("unreadable in the journal: {line}")),
    );
    violations.extend(other_results(&history, &journal));
    if config.min_replicas || !config.store.fails_over() {
        violations.extend(fenced_answers(&history));
    }
    violations.extend(account.iter().flat_map(|it| it.violations.clone()));
    violations.extend(verdict.violations.iter().map(ToString::to_string));
    let lost = verdict.lost.iter().map(ToString::to_string).collect();
    let mut counts = Counts::of(&history);
    if let Some(account) = &account {
        counts.add(account);
    }
    Report {
        config,
        counts,
        faults,
        silent,
        transfers: account.map(|account| account.transfers),
        violations,
        lost,
        explained: verdict.explain(&history),
        history,
    }
}

/// A claim that fell short of its replicas is withdrawn, and if the reply to that is lost, too, the
/// claim is asked for again: its client is told to retry, as if another were at work. Only while the
/// store is unwell, or has just been.
fn told_of_its_own_claim(violation: &Violation, windows: &[Window]) -> bool {
    let told = matches!(violation.invariant, Invariant::InProgress | Invariant::I6)
        && violation.what.ends_with("and nothing is");
    let unwell = |window: &Window| {
        window.node.is_none() && window.from <= violation.at && violation.at <= window.to + LEASE
    };
    told && windows.iter().any(unwell)
}

/// What a killed process was doing ended there.
fn cut(journal: &Journal, events: &mut Vec<Event>) {
    let mut died: BTreeMap<NodeId, Duration> = BTreeMap::new();
    for event in events.iter() {
        if let What::Node {
            node,
            change: Change::Crashed,
        } = event.what
        {
            died.insert(node, event.at);
        }
    }
    for (run, node) in &journal.open {
        if let Some(at) = died.get(node) {
            events.push(Event {
                at: *at,
                what: What::Cut { run: *run },
            });
        }
    }
}

/// Notes for how long whose leases may have lapsed. For how long, in all.
fn excuses(nodes: &[Node], windows: &[Window], events: &mut Vec<Event>) -> Duration {
    const STEP: Duration = Duration::from_secs(1);
    let mut total = Duration::ZERO;
    for (index, node) in nodes.iter().enumerate() {
        for (from, to) in silences(windows, index) {
            total += to - from;
            let mut at = from;
            loop {
                for id in node.ids(index) {
                    let what = What::LeaseMayHaveLapsed { node: Some(id) };
                    events.push(Event { at, what });
                }
                if at >= to {
                    break;
                }
                at = to.min(at + STEP);
            }
        }
    }
    total
}

fn history(events: Vec<Event>) -> History {
    let rules = Rules {
        lease: LEASE,
        ..Rules::default()
    };
    let places: BTreeSet<Place> = events
        .iter()
        .filter_map(|event| match event.what {
            What::Sent { place, .. } => Some(place),
            _ => None,
        })
        .collect();
    let refusing = places
        .into_iter()
        .filter(|place| workload::refuses(*place))
        .map(|place| {
            let refuse = true;
            (place, Rules { refuse, ..rules })
        });
    let mut history = History {
        events,
        rules,
        exceptions: refusing.collect(),
        sees_store: false,
        sees_runs: true,
        blur: Duration::ZERO,
    };
    history.sort();
    history
}

/// Every attempt gets the same result of a step that is kept.
fn other_results(history: &History, journal: &Journal) -> Vec<String> {
    let places: BTreeMap<_, _> = history
        .events
        .iter()
        .filter_map(|event| match event.what {
            What::Began { run, place, .. } => Some((run, place)),
            _ => None,
        })
        .collect();
    let mut results: BTreeMap<(Place, &str), BTreeSet<&str>> = BTreeMap::new();
    for (run, step, result) in &journal.results {
        if let Some(place) = places.get(run) {
            results.entry((*place, step)).or_default().insert(result);
        }
    }
    results
        .into_iter()
        .filter(|(_, results)| results.len() > 1)
        .map(|((place, step), results)| {
            format!("{place:?}: the step {step} has several results: {results:?}")
        })
        .collect()
}

/// Who ended after another had taken over is fenced: nobody is told its answer.
fn fenced_answers(history: &History) -> Vec<String> {
    let mut at_work: BTreeMap<RunId, Place> = BTreeMap::new();
    let mut fenced: BTreeSet<RunId> = BTreeSet::new();
    let mut answers: BTreeMap<&str, (RunId, Place)> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &history.events {
        match &event.what {
            What::Began { run, place, .. } => {
                let others = at_work.iter().filter(|(_, of)| *of == place);
                fenced.extend(others.map(|(run, _)| *run));
                at_work.insert(*run, *place);
            }
            What::Ended { run, end } => {
                let place = at_work.remove(run);
                if let (Some(place), End::Record(answer), true) = (place, end, fenced.contains(run))
                {
                    answers.insert(answer, (*run, place));
                }
            }
            What::Cut { run } => {
                at_work.remove(run);
            }
            What::Answered {
                answer: Answer::Fresh { body } | Answer::Replayed { body, .. },
                ..
            } => {
                if let Some((run, place)) = answers.remove(body.as_str()) {
                    violations.push(format!(
                        "fenced: the answer of {run:x} at {place:?} was told at {:?}, and another \
                         had taken over before it ended",
                        event.at
                    ));
                }
            }
            _ => {}
        }
    }
    violations
}

/// How often a key ran again although its execution before was not given back.
pub(super) fn repeats(history: &History) -> u64 {
    let mut released = BTreeSet::new();
    let mut last: BTreeMap<Place, u64> = BTreeMap::new();
    let mut repeats = 0;
    for event in &history.events {
        match &event.what {
            What::Ended {
                run,
                end: End::Release(_),
            } => {
                released.insert(*run);
            }
            What::Began { run, place, .. } => {
                if let Some(before) = last.insert(*place, *run)
                    && !released.contains(&before)
                {
                    repeats += 1;
                }
            }
            _ => {}
        }
    }
    repeats
}
