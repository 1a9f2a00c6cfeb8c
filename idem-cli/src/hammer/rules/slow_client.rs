//! **slow-client-safe**: a body that arrives in dribbles, and a fast duplicate that overtakes it, are
//! one execution and one answer.

use std::time::Duration;

use super::{
    super::{
        answer::{Answer, Comparison, Kind, Reply, troubles},
        budget::Stop,
        effects::Effects,
        session::Session,
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
};

const RULE: Rule = Rule::SlowClientSafe;

/// The longest rest between two pieces of the body.
const LONGEST: Duration = Duration::from_millis(5);

/// What one key was answered.
#[derive(Debug)]
struct Seen {
    key: String,
    slow: Reply,
    fast: Reply,
    /// Sent until it was served.
    after: Reply,
    effects: Effects,
}

pub(super) async fn run(session: &mut Session) -> Finding {
    if session.template.body.len() < 2 {
        return Finding::skipped(
            RULE,
            "the request has no body that could be slow; --data gives it one",
        );
    }
    let mut all = Vec::new();
    let mut stop = None;
    for round in 0..session.rounds {
        // From at once, where both arrive together, to far too late.
        let pause = LONGEST * round.into() / u32::from(session.rounds - 1).max(1);
        match look(session, pause).await {
            Ok(seen) => all.push(seen),
            Err(bound) => {
                stop = Some(bound);
                break;
            }
        }
        session.progress.step();
    }
    judge(&all, &session.comparison).cut_short(stop)
}

async fn look(session: &mut Session, pause: Duration) -> Result<Seen, Stop> {
    let key = session.fresh_key();
    let request = session.template.request(&key);
    let (slow, fast) = session.client.overtake(&request, pause).await?;
    Ok(Seen {
        slow,
        fast,
        after: session.insist(&request).await?,
        effects: session.new_effects(1).await?,
        key,
    })
}

fn judge(all: &[Seen], comparison: &Comparison) -> Finding {
    let mut case = Case::default();
    for seen in all {
        look_at(seen, comparison, &mut case);
    }
    let detail = format!("{} slow clients were overtaken", all.len());
    case.close(RULE, (Verdict::Holds, detail))
}

fn look_at(seen: &Seen, comparison: &Comparison, case: &mut Case) {
    let evidence = |what: String| Evidence::new(&seen.key, what).executions(seen.effects.counted());
    let replies = [&seen.slow, &seen.fast, &seen.after];
    let results: Vec<&Answer> = replies
        .into_iter()
        .flatten()
        .filter(|answer| answer.is_result())
        .collect();
    if let Some(count) = seen.effects.counted()
        && count > 1
    {
        return case.violated(evidence(format!("{count} effects")).answers(results));
    }
    let different = results.iter().find_map(|answer| {
        let difference = comparison.contradiction(results[0], answer)?;
        Some((difference, *answer))
    });
    if let Some((difference, answer)) = different {
        let what = format!("slow, fast and retry differ in {difference}");
        let shown = difference.shown(["one", "another"], [results[0], answer]);
        return case.violated(evidence(what).answers(shown));
    }
    let executed = results
        .iter()
        .filter(|answer| answer.kind() == Kind::Executed)
        .count();
    if executed > 1 && seen.effects == Effects::Unasked {
        let what = format!(
            "{executed} answers look like an execution of their own: none is marked as a replay \
             (--effects-url would show whether they were)"
        );
        return case.violated(evidence(what).answers(results));
    }
    let is_wrong = |reply: &&Reply| matches!(reply, Ok(answer) if matches!(answer.kind(), Kind::Failed | Kind::Refused) && !answer.is_not_now());
    if let Some(Ok(wrong)) = replies.into_iter().find(is_wrong) {
        let what = "the slow client, the fast one or the retry was refused".to_owned();
        return case.violated(evidence(what).answers([wrong]));
    }
    if let Some(troubles) = troubles(replies) {
        return case.doubtful(evidence(troubles));
    }
    match (&seen.after, &seen.effects) {
        (Ok(answer), _) if answer.kind() == Kind::Conflict => {
            let what = "a retry is told of a conflict although both have ended".to_owned();
            case.violated(evidence(what).answers([answer]));
        }
        (_, Effects::Unreadable(reason)) => {
            case.doubtful(evidence(format!("the effects cannot be counted: {reason}")));
        }
        (_, Effects::Counted(0)) => {
            let what = "answered with success, and the count of effects did not move";
            case.doubtful(evidence(what.to_owned()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::answer::synthetic::*, *};

    fn seen(slow: Answer, fast: Answer, after: Answer) -> Seen {
        Seen {
            key: "k".to_owned(),
            slow: Ok(slow),
            fast: Ok(fast),
            after: Ok(after),
            effects: Effects::Counted(1),
        }
    }

    fn verdict(seen: Seen) -> Verdict {
        judge(&[seen], &Comparison::default()).verdict
    }

    #[test]
    fn whichever_runs_the_other_is_replayed_or_told_to_wait() {
        assert_eq!(
            verdict(seen(replayed("1"), executed("1"), replayed("1"))),
            Verdict::Holds
        );
        assert_eq!(
            verdict(seen(executed("1"), in_progress(), replayed("1"))),
            Verdict::Holds
        );
    }

    #[test]
    fn two_effects_or_two_answers_are_wrong() {
        let good = || seen(replayed("1"), executed("1"), replayed("1"));
        assert_eq!(
            verdict(Seen {
                effects: Effects::Counted(2),
                ..good()
            }),
            Verdict::Violated
        );
        assert_eq!(
            verdict(seen(executed("2"), executed("1"), replayed("1"))),
            Verdict::Violated
        );
        let unmarked = || seen(executed("1"), executed("1"), executed("1"));
        assert_eq!(
            verdict(Seen {
                effects: Effects::Unasked,
                ..unmarked()
            }),
            Verdict::Violated
        );
        assert_eq!(verdict(unmarked()), Verdict::Holds);
    }

    #[test]
    fn who_is_refused_or_still_in_conflict_is_wronged() {
        assert_eq!(
            verdict(seen(failed(500), executed("1"), replayed("1"))),
            Verdict::Violated
        );
        assert_eq!(
            verdict(seen(executed("1"), in_progress(), in_progress())),
            Verdict::Violated
        );
    }

    #[test]
    fn a_service_that_gives_up_on_the_slow_one_leaves_it_open() {
        assert_eq!(
            verdict(seen(failed(408), executed("1"), replayed("1"))),
            Verdict::Inconclusive
        );
        let mut silent = seen(replayed("1"), executed("1"), replayed("1"));
        silent.slow = lost();
        assert_eq!(verdict(silent), Verdict::Inconclusive);
    }
}
