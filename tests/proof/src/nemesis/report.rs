//! What is printed of a run.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use super::{Config, books::Account, judge::repeats, lanes::Faults};
use crate::history::{Abandoned, Answer, History, What};

/// Everything that can be counted.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Requests sent.
    pub requests: u64,
    /// What came back, by kind.
    pub answers: BTreeMap<String, u64>,
    /// Executions of handlers that write a journal.
    pub executions: u64,
    /// Executions after one that was not given back.
    pub repeats: u64,
    /// The longest that a request took.
    pub slowest: Duration,
}

impl Counts {
    /// Counts what is in a history.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let mut counts = Self {
            repeats: repeats(history),
            ..Self::default()
        };
        let mut sent = BTreeMap::new();
        for event in &history.events {
            let (call, kind) = match &event.what {
                What::Sent { call, .. } => {
                    counts.requests += 1;
                    sent.insert(*call, event.at);
                    continue;
                }
                What::Began { .. } => {
                    counts.executions += 1;
                    continue;
                }
                What::Answered { call, answer } => (call, kind(answer)),
                What::Abandoned { call, why } => (
                    call,
                    match why {
                        Abandoned::ClientLeft => "client left",
                        Abandoned::ConnectionLost => "connection lost",
                    },
                ),
                _ => continue,
            };
            *counts.answers.entry(kind.to_owned()).or_default() += 1;
            let took = sent.get(call).map(|sent| event.at - *sent);
            counts.slowest = counts.slowest.max(took.unwrap_or_default());
        }
        counts
    }

    pub(super) fn add(&mut self, account: &Account) {
        for (kind, count) in &account.kinds {
            self.requests += count;
            *self.answers.entry(kind.clone()).or_default() += count;
        }
    }
}

fn kind(answer: &Answer) -> &'static str {
    match answer {
        Answer::Fresh { .. } => "fresh",
        Answer::Replayed { .. } => "replayed",
        Answer::NotStored { .. } => "not stored",
        Answer::Released { .. } => "failed as told",
        Answer::InProgress => "in-progress",
        Answer::KeyReused => "key-reused",
        Answer::OutcomeUnknown => "outcome-unknown",
        Answer::StoreUnavailable => "store-unavailable",
        Answer::WorkPanicked => "panicked",
        Answer::Stopped => "execution-failed",
        Answer::Unprotected { .. } => "unprotected",
        Answer::Other(_) => "other",
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which run.
    pub config: Config,
    /// What can be counted.
    pub counts: Counts,
    /// Faults injected, by kind.
    pub faults: Faults,
    /// For how long processes were silent long enough to lose leases, all of them together.
    pub silent: Duration,
    /// Transfers in the books: rows, records and answers, one each.
    pub transfers: Option<usize>,
    /// What must not be.
    pub violations: Vec<String>,
    /// What came of writes that the store has lost.
    pub lost: Vec<String>,
    /// The first violation, with what happened to its key.
    pub explained: String,
    /// Everything.
    pub history: History,
}

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The command that injects the same faults.
    #[must_use]
    pub fn command(&self) -> String {
        let Config {
            store, seed, time, ..
        } = self.config;
        let replicas = if self.config.min_replicas {
            ""
        } else {
            " --no-min-replicas"
        };
        format!(
            "cargo run -p idem-proof --bin nemesis -- --store {} --seed {seed} --seconds {}{replicas}",
            store.name(),
            time.as_secs()
        )
    }

    /// Its line of [`table`].
    #[must_use]
    pub fn line(&self) -> String {
        let Counts {
            requests,
            answers,
            executions,
            repeats,
            slowest,
        } = &self.counts;
        let store = match (self.config.store.fails_over(), self.config.min_replicas) {
            (true, true) => format!("{}, min_replicas 1", self.config.store.name()),
            (true, false) => format!("{}, no min_replicas", self.config.store.name()),
            _ => self.config.store.name().to_owned(),
        };
        let transfers = self
            .transfers
            .map_or("–".to_owned(), |count| count.to_string());
        format!(
            "| {store} | {} | {} | {requests} | {} | {} ({}) | {executions} | {repeats} | {transfers} | {:.1} s | {} | {} |",
            self.config.seed,
            self.config.time.as_secs(),
            listed(answers.iter().map(|(kind, count)| (kind.as_str(), *count))),
            self.faults.values().sum::<u64>(),
            listed(self.faults.iter().map(|(kind, count)| (*kind, *count))),
            slowest.as_secs_f64(),
            self.lost.len(),
            self.violations.len(),
        )
    }

    /// What went wrong, and how to see it again.
    #[must_use]
    pub fn failure(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} with the seed {}: {} violations",
            self.config.store.name(),
            self.config.seed,
            self.violations.len()
        );
        for violation in self.violations.iter().take(20) {
            let _ = writeln!(text, "  {}", shortened(violation));
        }
        // What excuses a repetition is for the checker: the faults are there in words.
        let lines = self.explained.lines();
        for line in lines.filter(|line| !line.contains("LeaseMayHaveLapsed")) {
            let _ = writeln!(text, "{}", shortened(line));
        }
        let _ = writeln!(text, "the same faults again: {}", self.command());
        text
    }
}

/// Without the padding of answers.
fn shortened(line: &str) -> String {
    const LONGEST: usize = 400;
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}…")
}

fn listed<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let words: Vec<_> = counts
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    words.join(", ")
}

/// A table in Markdown.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = String::from(
        "| store | seed | seconds | requests | answers | faults | executions | excused repeats | transfers | slowest | lost by the store | violations |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for report in reports {
        let _ = writeln!(text, "{}", report.line());
    }
    text
}

/// A shorter one, without what only those need who look for a fault.
#[must_use]
pub fn compact(reports: &[Report]) -> String {
    let mut text = String::from(
        "| store | requests | faults (kinds) | violations |\n| --- | --- | --- | --- |\n",
    );
    for report in reports {
        let _ = writeln!(
            text,
            "| {} | {} | {} ({}) | {} |",
            report.config.store.name(),
            report.counts.requests,
            report.faults.values().sum::<u64>(),
            report.faults.len(),
            report.violations.len()
        );
    }
    text
}
