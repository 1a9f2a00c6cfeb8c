//! **same-answer**: whoever retries a finished key is given its status, headers and body.

use super::{
    super::{
        answer::{Comparison, Kind, side_by_side},
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
    duplicates::Round,
};

pub(super) fn judge(rounds: &[Round], comparison: &Comparison) -> Finding {
    let mut case = Case::default();
    for round in rounds {
        look_at(round, comparison, &mut case);
    }
    let retries: usize = rounds.iter().map(|round| round.retries.len()).sum();
    let detail = format!("{retries} retries of {} finished keys", rounds.len());
    case.close(Rule::SameAnswer, (Verdict::Holds, detail))
}

/// One piece of evidence for a key is enough: the first.
fn look_at(round: &Round, comparison: &Comparison, case: &mut Case) {
    let evidence = |what: String| Evidence::new(&round.key, what);
    let Some(reference) = round.reference() else {
        let served = round.replies().last();
        let served = served.map_or_else(String::new, |reply| match reply {
            Ok(answer) => answer.to_string(),
            Err(lost) => lost.to_string(),
        });
        return case.doubtful(evidence(format!(
            "the key was never answered with a result: {served}"
        )));
    };
    // Duplicates that were answered with a result count as retries.
    for answer in round.answers().filter(|answer| answer.is_result()) {
        if let Some(difference) = comparison.difference(reference, answer) {
            let evidence = evidence(if answer.is_not_retained() {
                "the answer was not kept (too large, or a stream), so no retry is given it"
                    .to_owned()
            } else {
                format!("they differ in {difference}")
            });
            let labels = ["first", "retry"];
            return case.violated(evidence.answers(difference.shown(labels, [reference, answer])));
        }
    }
    for reply in &round.retries {
        match reply {
            Ok(answer) if answer.is_result() => {}
            Ok(answer) if answer.is_not_now() => {
                return case.doubtful(evidence("a retry was put off".to_owned()).answers([answer]));
            }
            Ok(answer) => {
                let what = match answer.kind() {
                    Kind::Conflict => {
                        "a retry is told of a conflict although the request has ended"
                    }
                    _ => "a retry was not served",
                };
                let both = side_by_side(["first", "retry"], [reference, answer]);
                return case.violated(evidence(what.to_owned()).answers(both));
            }
            Err(lost) => return case.doubtful(evidence(format!("a retry got {lost}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::answer::synthetic::*, duplicates::synthetic::round},
        *,
    };

    fn verdict(round: Round) -> Verdict {
        judge(&[round], &Comparison::default()).verdict
    }

    #[test]
    fn equal_answers_hold_marked_or_not() {
        assert_eq!(
            verdict(round(vec![executed("1")], vec![replayed("1")])),
            Verdict::Holds
        );
        assert_eq!(
            verdict(round(vec![executed("1")], vec![executed("1")])),
            Verdict::Holds
        );
    }

    #[test]
    fn any_other_body_status_or_header_is_wrong_and_shown() {
        let finding = judge(
            &[round(
                vec![executed("1")],
                vec![replayed("1"), replayed("2")],
            )],
            &Comparison::default(),
        );
        assert_eq!(finding.verdict, Verdict::Violated);
        assert_eq!(finding.evidence[0].answers.len(), 2);
        let marked = [("idempotent-replayed", "true"), ("location", "/2")];
        assert_eq!(
            verdict(round(vec![executed("1")], vec![answer(201, &marked, "1")])),
            Verdict::Violated
        );
        assert_eq!(
            verdict(round(
                vec![executed("1")],
                vec![answer(200, &marked[..1], "1")]
            )),
            Verdict::Violated
        );
    }

    #[test]
    fn a_finished_key_that_is_still_in_conflict_is_wrong() {
        let stuck = round(vec![executed("1")], vec![in_progress()]);
        assert_eq!(verdict(stuck), Verdict::Violated);
    }

    #[test]
    fn a_failed_retry_is_wrong_and_one_put_off_is_open() {
        assert_eq!(
            verdict(round(vec![executed("1")], vec![failed(500)])),
            Verdict::Violated
        );
        assert_eq!(
            verdict(round(vec![executed("1")], vec![failed(503)])),
            Verdict::Inconclusive
        );
        assert_eq!(
            verdict(round(vec![failed(503)], vec![failed(503)])),
            Verdict::Inconclusive
        );
        let mut silent = round(vec![executed("1")], vec![]);
        silent.retries.push(lost());
        assert_eq!(verdict(silent), Verdict::Inconclusive);
    }
}
