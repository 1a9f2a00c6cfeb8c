//! What is found of a rule, and what shows it.

use serde::Serialize;

use super::{budget::Stop, rules::Rule};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Tried, and as it should be.
    Holds,
    /// A promise is broken.
    Violated,
    /// The service failed, so that nobody can tell.
    Inconclusive,
    /// The situation did not come up.
    NotSeen,
    /// Not tried.
    Skipped,
}

impl Verdict {
    /// Whether the run must not end as if all were well.
    pub(crate) const fn is_alarming(self) -> bool {
        matches!(self, Self::Violated | Self::Inconclusive)
    }
}

/// One place where a rule went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Evidence {
    /// The key under which it happened: the service's log has it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) what: String,
    /// How many effects there were, if they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executions: Option<i64>,
    /// The answers in question, shortened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) answers: Vec<String>,
}

impl Evidence {
    pub(crate) fn new(key: &str, what: impl Into<String>) -> Self {
        Self {
            key: Some(key.to_owned()),
            what: what.into(),
            executions: None,
            answers: Vec::new(),
        }
    }

    pub(crate) fn executions(mut self, count: Option<i64>) -> Self {
        self.executions = count;
        self
    }

    pub(crate) fn answers(mut self, answers: impl IntoIterator<Item = impl ToString>) -> Self {
        self.answers
            .extend(answers.into_iter().map(|answer| answer.to_string()));
        self
    }
}

/// What came out for one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) verdict: Verdict,
    /// One sentence: what was tried, or why not.
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) evidence: Vec<Evidence>,
}

impl Finding {
    pub(crate) fn skipped(rule: Rule, reason: impl Into<String>) -> Self {
        Self::plain(rule, Verdict::Skipped, reason)
    }

    pub(crate) fn not_seen(rule: Rule, reason: impl Into<String>) -> Self {
        Self::plain(rule, Verdict::NotSeen, reason)
    }

    pub(crate) fn plain(rule: Rule, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self {
            rule,
            verdict,
            detail: detail.into(),
            evidence: Vec::new(),
        }
    }

    /// A rule that a bound has cut short. What it has seen broken stays broken.
    pub(crate) fn cut_short(mut self, stop: Option<Stop>) -> Self {
        if let Some(stop) = stop
            && !matches!(self.verdict, Verdict::Violated | Verdict::Skipped)
        {
            self.verdict = Verdict::NotSeen;
            self.detail = format!("not finished: {stop}");
            self.evidence.clear();
        }
        self
    }
}

/// Gathers what speaks against a rule while its observations are gone through.
#[derive(Debug, Default)]
pub(crate) struct Case {
    violations: Vec<Evidence>,
    doubts: Vec<Evidence>,
}

impl Case {
    pub(crate) fn violated(&mut self, evidence: Evidence) {
        self.violations.push(evidence);
    }

    pub(crate) fn doubtful(&mut self, evidence: Evidence) {
        self.doubts.push(evidence);
    }

    /// For what only some violations have to be told.
    pub(crate) fn violations_mut(&mut self) -> &mut [Evidence] {
        &mut self.violations
    }

    /// Broken beats doubtful, and doubtful beats `otherwise`, which is what was found if nothing
    /// speaks against the rule.
    pub(crate) fn close(self, rule: Rule, otherwise: (Verdict, String)) -> Finding {
        let (verdict, detail, evidence) = match (self.violations.len(), self.doubts.len()) {
            (0, 0) => (otherwise.0, otherwise.1, Vec::new()),
            (0, count) => (
                Verdict::Inconclusive,
                format!("cannot be told{}", times(count)),
                self.doubts,
            ),
            (count, _) => (
                Verdict::Violated,
                format!("{}{}", rule.broken(), times(count)),
                self.violations,
            ),
        };
        Finding {
            rule,
            verdict,
            detail,
            evidence,
        }
    }
}

fn times(count: usize) -> String {
    match count {
        1 => String::new(),
        _ => format!(" ({count} times)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_beats_doubtful_beats_fine() {
        let close = |case: Case| {
            let fine = (Verdict::Holds, "fine".to_owned());
            case.close(Rule::ExecutedOnce, fine).verdict
        };
        let mut case = Case::default();
        assert_eq!(close(Case::default()), Verdict::Holds);
        case.doubtful(Evidence::new("k", "?"));
        assert_eq!(close(case), Verdict::Inconclusive);
        let mut case = Case::default();
        case.doubtful(Evidence::new("k", "?"));
        case.violated(Evidence::new("k", "!"));
        assert_eq!(close(case), Verdict::Violated);
    }

    #[test]
    fn a_bound_turns_everything_but_a_violation_into_not_seen() {
        let stop = Some(Stop::Requests(5));
        let cut = |verdict| {
            Finding::plain(Rule::ExecutedOnce, verdict, "")
                .cut_short(stop)
                .verdict
        };
        assert_eq!(cut(Verdict::Holds), Verdict::NotSeen);
        assert_eq!(cut(Verdict::Inconclusive), Verdict::NotSeen);
        assert_eq!(cut(Verdict::Violated), Verdict::Violated);
        let whole = Finding::plain(Rule::ExecutedOnce, Verdict::Holds, "").cut_short(None);
        assert_eq!(whole.verdict, Verdict::Holds);
    }
}
