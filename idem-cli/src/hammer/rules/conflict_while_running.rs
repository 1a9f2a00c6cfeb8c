//! **conflict-while-running**: a duplicate that arrives while the first one runs is told so, by 409
//! with a problem document and `Retry-After`, or it waits and is given the replay.

use std::time::Duration;

use super::{
    super::{
        answer::{Answer, Kind},
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
    duplicates::Round,
};

/// From when on an answer that took long has waited. A replay under load may take some time too, so
/// this errs on the side of "not seen".
const WAITED: Duration = Duration::from_millis(100);

pub(super) fn judge(rounds: &[Round]) -> Finding {
    let mut case = Case::default();
    let (mut told, mut waited) = (0, 0);
    for round in rounds {
        told += look_at(round, &mut case);
        waited += have_waited(round);
    }
    let fine = match (told, waited) {
        (0, 0) => (
            Verdict::NotSeen,
            "no duplicate was seen to overlap the first: each came when it had ended, or waited too shortly to tell (a request that takes longer would show it)".to_owned(),
        ),
        (0, waited) => (Verdict::Holds, format!("{waited} duplicates waited for the first and got its answer")),
        (told, _) => (Verdict::Holds, format!("{told} duplicates were told 409 with Retry-After")),
    };
    case.close(Rule::ConflictWhileRunning, fine)
}

/// How many duplicates were told as they should be.
fn look_at(round: &Round, case: &mut Case) -> usize {
    let mut told = 0;
    let answers: Vec<&Answer> = round.volley.iter().flatten().collect();
    let wrong = answers.iter().find_map(|answer| {
        let what = match answer.kind() {
            Kind::Conflict if answer.is_final_conflict() => return None,
            Kind::Conflict if !answer.is_problem() => "a 409 that is no application/problem+json",
            Kind::Conflict if !answer.says_retry() => "a 409 without Retry-After",
            Kind::Conflict => {
                told += 1;
                return None;
            }
            Kind::Failed | Kind::Refused if !answer.is_not_now() => {
                "a duplicate was answered as if it were an error"
            }
            _ => return None,
        };
        Some(Evidence::new(&round.key, what).answers([*answer]))
    });
    let run_beside = round.effects.counted().unwrap_or(0) > 1 || executions_differ(&answers);
    if let Some(evidence) = wrong {
        case.violated(evidence);
    } else if run_beside {
        let count = round.effects.counted();
        let what = match count {
            Some(count) => format!("{count} of them were executed beside each other"),
            None => "several of them were executed beside each other".to_owned(),
        };
        case.violated(Evidence::new(&round.key, what).executions(count));
    } else {
        let unanswered = round.volley.iter().filter(|reply| match reply {
            Ok(answer) => answer.is_not_now(),
            Err(_) => true,
        });
        if let Some(troubles) = super::super::answer::troubles(unanswered) {
            case.doubtful(Evidence::new(
                &round.key,
                format!("duplicates got {troubles}"),
            ));
        }
    }
    told
}

fn executions_differ(answers: &[&Answer]) -> bool {
    let mut executed = answers
        .iter()
        .filter(|answer| answer.kind() == Kind::Executed);
    let first = executed.next();
    first.is_some_and(|first| executed.any(|other| other.body != first.body))
}

/// How many replays took as long as the execution did, and far longer than a replay alone.
fn have_waited(round: &Round) -> usize {
    let of = |kind| move |answer: &&Answer| answer.kind() == kind;
    let volley = || round.volley.iter().flatten();
    let alone = round.retries.iter().flatten().filter(of(Kind::Replayed));
    let (Some(execution), Some(alone)) = (
        volley().find(of(Kind::Executed)).map(|answer| answer.took),
        alone.map(|answer| answer.took).max(),
    ) else {
        return 0;
    };
    let least = WAITED.max(5 * alone);
    if execution < least {
        return 0;
    }
    volley()
        .filter(of(Kind::Replayed))
        .filter(|answer| answer.took >= least)
        .count()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::answer::synthetic::*, duplicates::synthetic::round},
        *,
    };

    fn verdict(volley: Vec<Answer>) -> Verdict {
        judge(&[round(volley, vec![replayed("1")])]).verdict
    }

    #[test]
    fn a_409_with_a_problem_and_retry_after_is_right() {
        assert_eq!(verdict(vec![executed("1"), in_progress()]), Verdict::Holds);
    }

    #[test]
    fn a_409_without_either_is_wrong() {
        let problem = ("content-type", "application/problem+json");
        let no_retry = answer(409, &[problem], "{}");
        assert_eq!(verdict(vec![executed("1"), no_retry]), Verdict::Violated);
        let no_problem = answer(409, &[("retry-after", "1")], "busy");
        assert_eq!(verdict(vec![executed("1"), no_problem]), Verdict::Violated);
    }

    #[test]
    fn an_error_or_an_execution_beside_the_first_is_wrong() {
        assert_eq!(verdict(vec![executed("1"), failed(500)]), Verdict::Violated);
        assert_eq!(verdict(vec![executed("1"), failed(425)]), Verdict::Violated);
        assert_eq!(
            verdict(vec![executed("1"), executed("2")]),
            Verdict::Violated
        );
        let twice = round(vec![executed("1"), executed("1")], vec![]).effects(2);
        assert_eq!(judge(&[twice]).verdict, Verdict::Violated);
    }

    #[test]
    fn who_waits_is_served_and_who_is_merely_quick_shows_nothing() {
        let slow = |mut answer: Answer| {
            answer.took = Duration::from_millis(300);
            answer
        };
        assert_eq!(
            verdict(vec![slow(executed("1")), slow(replayed("1"))]),
            Verdict::Holds
        );
        assert_eq!(
            verdict(vec![executed("1"), replayed("1")]),
            Verdict::NotSeen
        );
        // Not all of a loaded server's slow answers have waited for anything.
        assert_eq!(
            verdict(vec![executed("1"), slow(replayed("1"))]),
            Verdict::NotSeen
        );
    }

    #[test]
    fn a_service_that_throttles_or_is_silent_shows_nothing() {
        assert_eq!(
            verdict(vec![executed("1"), failed(429)]),
            Verdict::Inconclusive
        );
        let silent = round(vec![executed("1")], vec![]).and(lost());
        assert_eq!(judge(&[silent]).verdict, Verdict::Inconclusive);
    }
}
