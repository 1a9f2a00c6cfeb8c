//! **replay-marked**: a replay says `Idempotent-Replayed: true`, and an execution does not.

use super::{
    super::{
        answer::{Kind, Reply, troubles},
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
    duplicates::Round,
};

pub(super) fn judge(rounds: &[Round]) -> Finding {
    let mut case = Case::default();
    let mut marked = 0;
    for round in rounds {
        marked += look_at(round, &mut case);
    }
    let fine = if marked == 0 {
        (Verdict::NotSeen, "no retry was served".to_owned())
    } else {
        (Verdict::Holds, format!("{marked} replays say so"))
    };
    case.close(Rule::ReplayMarked, fine)
}

/// The number of marked retries.
fn look_at(round: &Round, case: &mut Case) -> usize {
    let is = |kind| move |reply: &&Reply| matches!(reply, Ok(answer) if answer.kind() == kind);
    // Something has been executed, in the volley or by the first retry; what follows is a replay.
    let has_run = round.volley.iter().any(|reply| is(Kind::Executed)(&reply));
    let retries = &round.retries[usize::from(!has_run).min(round.retries.len())..];
    if let Some(Ok(unmarked)) = retries.iter().find(is(Kind::Executed)) {
        let evidence = Evidence::new(&round.key, "a retry of a finished key without the mark");
        case.violated(evidence.answers([unmarked]));
    } else if !round.replies().any(|reply| is(Kind::Executed)(&reply))
        && round.replies().any(|reply| is(Kind::Replayed)(&reply))
        && troubles(&round.volley).is_none()
    {
        let evidence = Evidence::new(
            &round.key,
            "the key is new, and every answer says it is a replay",
        );
        case.violated(evidence.answers(round.reference()));
    }
    round.replies().filter(is(Kind::Replayed)).count()
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
    fn one_execution_without_and_retries_with_the_mark_are_right() {
        assert_eq!(
            verdict(round(vec![executed("1")], vec![replayed("1")])),
            Verdict::Holds
        );
        // The duplicates were all too early; the first retry runs.
        let late = round(vec![in_progress()], vec![executed("1"), replayed("1")]);
        assert_eq!(verdict(late), Verdict::Holds);
    }

    #[test]
    fn a_retry_without_the_mark_is_wrong() {
        assert_eq!(
            verdict(round(vec![executed("1")], vec![executed("1")])),
            Verdict::Violated
        );
        let second = round(vec![in_progress()], vec![executed("1"), executed("1")]);
        assert_eq!(verdict(second), Verdict::Violated);
    }

    #[test]
    fn the_first_execution_with_the_mark_is_wrong_unless_its_answer_was_lost() {
        let all = || round(vec![replayed("1")], vec![replayed("1")]);
        assert_eq!(verdict(all()), Verdict::Violated);
        assert_eq!(verdict(all().and(lost())), Verdict::Holds);
    }

    #[test]
    fn no_retry_served_is_nothing_seen() {
        assert_eq!(
            verdict(round(vec![executed("1")], vec![failed(503)])),
            Verdict::NotSeen
        );
    }
}
