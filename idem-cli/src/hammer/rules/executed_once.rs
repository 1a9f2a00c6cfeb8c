//! **executed-once**: however many duplicates of a key arrive, in whatever instant, one is executed.

use super::{
    super::{
        answer::{Answer, Kind, troubles},
        effects::Effects,
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
    duplicates::Round,
};

pub(super) fn judge(rounds: &[Round]) -> Finding {
    let mut case = Case::default();
    for round in rounds {
        look_at(round, &mut case);
    }
    let sent: usize = rounds.iter().map(|round| round.volley.len()).sum();
    let keys = rounds.len();
    let detail = match Effects::total(rounds.iter().map(|round| &round.effects)) {
        Some(effects) => format!("{sent} duplicates of {keys} keys had {effects} effects"),
        None => {
            format!("{sent} duplicates of {keys} keys had one execution each, by their answers")
        }
    };
    case.close(Rule::ExecutedOnce, (Verdict::Holds, detail))
}

fn look_at(round: &Round, case: &mut Case) {
    let executed = round
        .answers()
        .filter(|answer| answer.kind() == Kind::Executed);
    let executed = executed.count();
    let differing = differing(round);
    let evidence = |what: String| {
        Evidence::new(&round.key, what)
            .executions(round.effects.counted())
            .answers(&differing)
    };
    match &round.effects {
        // The effects are the truth; what is wrong with the answers is another rule's.
        Effects::Counted(1) => {}
        Effects::Counted(count) if *count > 1 => {
            let sent = round.volley.len();
            case.violated(evidence(format!("{count} effects of {sent} duplicates")));
        }
        Effects::Counted(_) if executed > 0 => case.doubtful(evidence(
            "answered with success, and the count of effects did not move: is it a list that ends at a page?".to_owned(),
        )),
        Effects::Counted(_) => case.doubtful(evidence(format!(
            "no effect, and no answer of an execution: {}",
            nothing(round)
        ))),
        _ if differing.len() > 1 => case.violated(evidence(format!(
            "{} different answers of success",
            differing.len()
        ))),
        Effects::Unasked if executed > 1 => case.violated(evidence(format!(
            "{executed} answers look like an execution of their own: none is marked as a replay \
             (--effects-url would show whether they were)"
        ))),
        Effects::Unasked => {
            if let Some(troubles) = troubles(&round.volley) {
                case.doubtful(evidence(format!("who knows what these did: {troubles}")));
            } else if executed == 0 {
                case.doubtful(evidence(format!("no answer of an execution: {}", nothing(round))));
            }
        }
        Effects::Unreadable(reason) => {
            case.doubtful(evidence(format!("the effects cannot be counted: {reason}")));
        }
    }
}

/// The different results that were given, one of each.
fn differing(round: &Round) -> Vec<&Answer> {
    let mut different: Vec<&Answer> = Vec::new();
    let results = round
        .answers()
        .filter(|answer| answer.is_result() && !answer.is_not_retained());
    for answer in results {
        let is_known = |known: &&Answer| known.status == answer.status && known.body == answer.body;
        if !different.iter().any(is_known) {
            different.push(answer);
        }
    }
    different
}

fn nothing(round: &Round) -> String {
    troubles(round.replies()).unwrap_or_else(|| "only conflicts and replays".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::answer::synthetic::*, duplicates::synthetic::round},
        *,
    };

    fn verdict(round: Round) -> Verdict {
        judge(&[round]).verdict
    }

    #[test]
    fn one_execution_and_any_number_of_replays_and_conflicts_is_right() {
        let good = || {
            round(
                vec![executed("1"), replayed("1"), in_progress()],
                vec![replayed("1")],
            )
        };
        assert_eq!(verdict(good()), Verdict::Holds);
        assert_eq!(verdict(good().effects(1)), Verdict::Holds);
    }

    #[test]
    fn an_answer_that_was_not_kept_is_no_second_execution() {
        let once = round(vec![executed("1"), not_retained()], vec![not_retained()]);
        assert_eq!(verdict(once), Verdict::Holds);
    }

    #[test]
    fn two_effects_are_wrong_whatever_was_answered() {
        let finding = judge(&[round(vec![executed("1"), replayed("1")], vec![]).effects(2)]);
        assert_eq!(finding.verdict, Verdict::Violated);
        assert_eq!(finding.evidence[0].executions, Some(2));
    }

    #[test]
    fn two_different_answers_are_two_executions_unless_one_effect_is_counted() {
        let two = || round(vec![executed("1"), executed("2")], vec![]);
        let finding = judge(&[two()]);
        assert_eq!(finding.verdict, Verdict::Violated);
        assert_eq!(finding.evidence[0].answers.len(), 2);
        assert_eq!(verdict(two().effects(1)), Verdict::Holds);
    }

    #[test]
    fn two_unmarked_answers_that_are_equal_are_suspicious_without_effects() {
        assert_eq!(
            verdict(round(vec![executed("1"), executed("1")], vec![])),
            Verdict::Violated
        );
        let by_retry = round(vec![executed("1")], vec![executed("1")]);
        assert_eq!(verdict(by_retry), Verdict::Violated);
    }

    #[test]
    fn a_lost_answer_leaves_it_open_unless_effects_are_counted() {
        let with_loss = || round(vec![executed("1")], vec![replayed("1")]).and(lost());
        assert_eq!(verdict(with_loss()), Verdict::Inconclusive);
        assert_eq!(verdict(with_loss().effects(1)), Verdict::Holds);
        let failed = round(vec![executed("1"), failed(503)], vec![replayed("1")]);
        assert_eq!(verdict(failed), Verdict::Inconclusive);
    }

    #[test]
    fn success_without_an_effect_is_no_proof() {
        let none = round(vec![executed("1")], vec![replayed("1")]).effects(0);
        assert_eq!(verdict(none), Verdict::Inconclusive);
        assert_eq!(
            verdict(round(vec![in_progress()], vec![in_progress()])),
            Verdict::Inconclusive
        );
    }

    #[test]
    fn effects_that_cannot_be_read_any_more_leave_it_open() {
        let mut open = round(vec![executed("1"), executed("1")], vec![]);
        open.effects = Effects::Unreadable("gone".to_owned());
        assert_eq!(verdict(open), Verdict::Inconclusive);
    }
}
