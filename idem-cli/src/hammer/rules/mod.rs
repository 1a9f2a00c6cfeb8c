//! The rules, each in a file of its own: what is sent, and a judgement of what came back.
//!
//! A judgement is a function of observations and sends nothing, so that its tests can show it every
//! way to be broken.

mod bad_key;
mod changed_payload;
mod conflict_while_running;
mod disconnect;
mod duplicates;
mod executed_once;
mod isolation;
mod key_required;
mod replay_marked;
mod same_answer;
mod slow_client;

use clap::ValueEnum;
use serde::Serialize;

use super::{
    effects::Effects,
    session::Session,
    verdict::{Evidence, Finding, Verdict},
};

/// What a service promises, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    ExecutedOnce,
    SameAnswer,
    ReplayMarked,
    ConflictWhileRunning,
    ChangedPayloadRefused,
    KeyRequired,
    BadKeyRefused,
    DisconnectSafe,
    SlowClientSafe,
    IsolatedByUser,
}

impl Rule {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ExecutedOnce => "executed-once",
            Self::SameAnswer => "same-answer",
            Self::ReplayMarked => "replay-marked",
            Self::ConflictWhileRunning => "conflict-while-running",
            Self::ChangedPayloadRefused => "changed-payload-refused",
            Self::KeyRequired => "key-required",
            Self::BadKeyRefused => "bad-key-refused",
            Self::DisconnectSafe => "disconnect-safe",
            Self::SlowClientSafe => "slow-client-safe",
            Self::IsolatedByUser => "isolated-by-user",
        }
    }

    /// What it means that the rule is broken.
    pub(crate) const fn broken(self) -> &'static str {
        match self {
            Self::ExecutedOnce => "a key was executed more than once",
            Self::SameAnswer => "a retry was not given the first answer",
            Self::ReplayMarked => {
                "`Idempotent-Replayed: true` is not on the replays, or not only on them"
            }
            Self::ConflictWhileRunning => {
                "a duplicate of a running request was not told to retry later"
            }
            Self::ChangedPayloadRefused => "another payload under a used key was not refused",
            Self::KeyRequired => "a request without a key was not refused with 400",
            Self::BadKeyRefused => "an unusable key was not refused with 400",
            Self::DisconnectSafe => {
                "a client that went away and retried did not get one effect and one answer"
            }
            Self::SlowClientSafe => {
                "a slow client and its fast duplicate did not get one effect and one answer"
            }
            Self::IsolatedByUser => "one user's key reached into another user's request",
        }
    }
}

/// What is tried together, because it is seen on the same requests.
const STEPS: [&[Rule]; 7] = [
    &[
        Rule::ExecutedOnce,
        Rule::SameAnswer,
        Rule::ReplayMarked,
        Rule::ConflictWhileRunning,
    ],
    &[Rule::ChangedPayloadRefused],
    &[Rule::KeyRequired],
    &[Rule::BadKeyRefused],
    &[Rule::DisconnectSafe],
    &[Rule::SlowClientSafe],
    &[Rule::IsolatedByUser],
];

/// How many steps [`Progress`](super::progress::Progress) is told of.
pub(crate) fn steps(rounds: u16) -> u64 {
    // Duplicates, disconnects and slow clients take one for each round, the others one.
    3 * u64::from(rounds) + 4
}

/// Tries every rule that is not skipped.
pub(crate) async fn try_all(session: &mut Session, skip: &[Rule]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for rules in STEPS {
        let asked: Vec<Rule> = rules
            .iter()
            .copied()
            .filter(|rule| !skip.contains(rule))
            .collect();
        let not_asked = |rule: Rule| Finding::skipped(rule, "as --skip says");
        let Some(first) = asked.first() else {
            findings.extend(rules.iter().copied().map(not_asked));
            continue;
        };
        session.progress.begin(*first);
        let found = try_step(session, *first).await;
        let latecomers = latecomers(session).await;
        findings.extend(
            found
                .into_iter()
                .map(|finding| match asked.contains(&finding.rule) {
                    false => not_asked(finding.rule),
                    true if finding.rule == *first => with_latecomers(finding, latecomers),
                    true => finding,
                }),
        );
    }
    findings
}

async fn try_step(session: &mut Session, rule: Rule) -> Vec<Finding> {
    match rule {
        Rule::ExecutedOnce | Rule::SameAnswer | Rule::ReplayMarked | Rule::ConflictWhileRunning => {
            duplicates::try_all(session).await
        }
        Rule::ChangedPayloadRefused => vec![changed_payload::run(session).await],
        Rule::KeyRequired => vec![key_required::run(session).await],
        Rule::BadKeyRefused => vec![bad_key::run(session).await],
        Rule::DisconnectSafe => vec![disconnect::run(session).await],
        Rule::SlowClientSafe => vec![slow_client::run(session).await],
        Rule::IsolatedByUser => vec![isolation::run(session).await],
    }
}

/// Effects that nobody was waiting for any more.
async fn latecomers(session: &mut Session) -> i64 {
    match session.new_effects(0).await {
        Ok(Effects::Counted(count)) => count,
        _ => 0,
    }
}

/// An execution that ends when all of its answers have been given would be seen by no rule.
fn with_latecomers(mut finding: Finding, count: i64) -> Finding {
    if count == 0 || finding.verdict == Verdict::Skipped {
        return finding;
    }
    finding.evidence.push(Evidence {
        key: None,
        what: format!(
            "{count} more effects showed after the last answer: executions that end late, or \
             somebody else uses the service"
        ),
        executions: Some(count),
        answers: Vec::new(),
    });
    if finding.verdict != Verdict::Violated {
        finding.verdict = Verdict::Inconclusive;
        finding.detail = "the effects went on after the rule had been tried".to_owned();
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_tried_in_one_step_and_has_the_name_that_skip_takes() {
        let tried: Vec<Rule> = STEPS.concat();
        assert_eq!(tried, Rule::value_variants());
        for rule in tried {
            assert_eq!(rule.to_possible_value().unwrap().get_name(), rule.name());
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
    }

    #[test]
    fn late_effects_make_a_rule_that_held_doubtful_and_no_violation_milder() {
        let with = |verdict| {
            let finding = Finding::plain(Rule::ExecutedOnce, verdict, "");
            with_latecomers(finding, 1).verdict
        };
        assert_eq!(with(Verdict::Holds), Verdict::Inconclusive);
        assert_eq!(with(Verdict::Violated), Verdict::Violated);
        assert_eq!(with(Verdict::Skipped), Verdict::Skipped);
    }
}
