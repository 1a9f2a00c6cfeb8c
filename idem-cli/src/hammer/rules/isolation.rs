//! **isolated-by-user**: a key is its user's. Another user's request under the same key is executed
//! as if the first one's did not exist.

use super::{
    super::{
        answer::{Answer, Comparison, Kind, Reply, side_by_side, troubles},
        budget::Stop,
        effects::Effects,
        session::Session,
        template::Who,
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
};

const RULE: Rule = Rule::IsolatedByUser;

/// Keys it is tried with; nothing here depends on timing.
const KEYS: u16 = 3;

const LABELS: [&str; 2] = ["before", "after"];

/// What one key was answered.
#[derive(Debug)]
struct Seen {
    key: String,
    first: Reply,
    other: Reply,
    /// The first user once more.
    again: Reply,
    /// The other user's.
    effects: Effects,
}

pub(super) async fn run(session: &mut Session) -> Finding {
    let finding = if session.template.has_other_user() {
        try_keys(session).await
    } else {
        Finding::skipped(
            RULE,
            "there is no second user: --other-header 'Authorization: …' gives one",
        )
    };
    session.progress.step();
    finding
}

async fn try_keys(session: &mut Session) -> Finding {
    match is_accepted(session).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return Finding::skipped(RULE, reason),
        Err(stop) => return Finding::not_seen(RULE, "").cut_short(Some(stop)),
    }
    let mut all = Vec::new();
    let mut stop = None;
    for _ in 0..KEYS.min(session.rounds) {
        match look(session).await {
            Ok(seen) => all.push(seen),
            Err(bound) => {
                stop = Some(bound);
                break;
            }
        }
    }
    // Nobody has looked at the first user's effects, and the other's may be among them. A bound that
    // ends the run here has ended it for the rule as well.
    let own = i64::try_from(all.len()).unwrap_or(0);
    let _ = session.new_effects(own).await;
    judge(&all, session.probe.as_ref(), &session.comparison).cut_short(stop)
}

/// Whether the other user may do this at all, under a key of its own.
async fn is_accepted(session: &mut Session) -> Result<Result<(), String>, Stop> {
    let key = session.fresh_key();
    let body = session.template.body.clone();
    let request = session.template.request_of(Who::Other, &key, body);
    Ok(match session.send(request).await? {
        Ok(answer) if answer.is_result() => Ok(()),
        Ok(answer) => Err(format!(
            "the second user is refused even under a new key: {answer}"
        )),
        Err(lost) => Err(format!("the second user got {lost} under a new key")),
    })
}

async fn look(session: &mut Session) -> Result<Seen, Stop> {
    let key = session.fresh_key();
    let own = session.template.request(&key);
    let body = session.template.body.clone();
    let others = session.template.request_of(Who::Other, &key, body);
    let first = session.insist(&own).await?;
    let before = session.count(Who::Other).await?.and_then(Result::ok);
    let other = session.send(others).await?;
    let (effects, _) = session.effects_since(Who::Other, before, 1).await?;
    let again = session.send(own).await?;
    Ok(Seen {
        key,
        first,
        other,
        again,
        effects,
    })
}

/// `probe` is another execution's answer, by which is known whether executions can be told apart.
fn judge(all: &[Seen], probe: Option<&Answer>, comparison: &Comparison) -> Finding {
    let mut case = Case::default();
    for seen in all {
        look_at(seen, probe, comparison, &mut case);
    }
    let detail = format!(
        "{} keys of one user were another's too, each with its own execution",
        all.len()
    );
    case.close(RULE, (Verdict::Holds, detail))
}

fn look_at(seen: &Seen, probe: Option<&Answer>, comparison: &Comparison, case: &mut Case) {
    let evidence = |what: &str| Evidence::new(&seen.key, what).executions(seen.effects.counted());
    let (first, other) = match (&seen.first, &seen.other) {
        (Ok(first), Ok(other)) if first.is_result() && !other.is_not_now() => (first, other),
        (first, other) => {
            let troubles =
                troubles([first, other]).unwrap_or_else(|| "the key was not executed".to_owned());
            return case.doubtful(evidence(&troubles));
        }
    };
    let both = || side_by_side(["first user", "second user"], [first, other]);
    let wrong = match other.kind() {
        Kind::Replayed => Some("the second user was given a replay of what the first one did"),
        Kind::Conflict => Some("the second user is in conflict with the first one's key"),
        Kind::Refused | Kind::Failed => {
            Some("the second user was refused, and not under a key of its own")
        }
        Kind::Executed if seen.effects == Effects::Counted(0) => {
            Some("the second user was answered with success, and nothing was executed")
        }
        Kind::Executed => None,
    };
    if let Some(wrong) = wrong {
        return case.violated(evidence(wrong).answers(both()));
    }
    if seen.effects.counted().is_none() && other.body == first.body {
        // Two executions that answer alike cannot be told from one that is shown twice.
        let can_be_told = probe.is_some_and(|probe| probe.body != first.body);
        if can_be_told {
            let what = "the second user was given the first one's answer";
            return case.violated(evidence(what).answers(both()));
        }
        let what = "all executions answer alike, so only --effects-url can show whether the second user's was one";
        return case.doubtful(evidence(what).answers(both()));
    }
    match &seen.again {
        Ok(again) if again.is_result() => {
            if let Some(difference) = comparison.contradiction(first, again) {
                let what = format!(
                    "since the second user's request the first one's answer differs in {difference}"
                );
                let shown = difference.shown(LABELS, [first, again]);
                case.violated(evidence(&what).answers(shown));
            }
        }
        Ok(again) if !again.is_not_now() => {
            let what = "since the second user's request the first one is not served any more";
            case.violated(evidence(what).answers(side_by_side(LABELS, [first, again])));
        }
        reply => {
            let troubles = troubles([reply]).unwrap_or_default();
            case.doubtful(evidence(&format!("the first user's retry got {troubles}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::answer::synthetic::*, *};

    fn seen(other: Answer, effects: Effects) -> Seen {
        Seen {
            key: "k".to_owned(),
            first: Ok(executed("1")),
            other: Ok(other),
            again: Ok(replayed("1")),
            effects,
        }
    }

    fn verdict(seen: Seen) -> Verdict {
        judge(&[seen], Some(&executed("0")), &Comparison::default()).verdict
    }

    #[test]
    fn an_execution_of_its_own_is_right() {
        assert_eq!(
            verdict(seen(executed("2"), Effects::Counted(1))),
            Verdict::Holds
        );
        assert_eq!(
            verdict(seen(executed("2"), Effects::Unasked)),
            Verdict::Holds
        );
        // Two users may well be answered alike.
        assert_eq!(
            verdict(seen(executed("1"), Effects::Counted(1))),
            Verdict::Holds
        );
    }

    #[test]
    fn the_first_users_answer_marked_or_not_is_wrong() {
        assert_eq!(
            verdict(seen(replayed("1"), Effects::Counted(0))),
            Verdict::Violated
        );
        assert_eq!(
            verdict(seen(executed("1"), Effects::Counted(0))),
            Verdict::Violated
        );
        assert_eq!(
            verdict(seen(executed("1"), Effects::Unasked)),
            Verdict::Violated
        );
    }

    #[test]
    fn a_refusal_because_of_the_first_user_is_wrong() {
        assert_eq!(
            verdict(seen(reused(), Effects::Counted(0))),
            Verdict::Violated
        );
        assert_eq!(
            verdict(seen(in_progress(), Effects::Unasked)),
            Verdict::Violated
        );
        assert_eq!(
            verdict(seen(answer(422, &[], ""), Effects::Unasked)),
            Verdict::Violated
        );
    }

    #[test]
    fn a_spoilt_first_answer_is_wrong() {
        let mut spoilt = seen(executed("2"), Effects::Counted(1));
        spoilt.again = Ok(replayed("2"));
        assert_eq!(verdict(spoilt), Verdict::Violated);
    }

    #[test]
    fn executions_that_answer_alike_cannot_be_told_apart() {
        let alike = seen(executed("1"), Effects::Unasked);
        let finding = judge(&[alike], Some(&executed("1")), &Comparison::default());
        assert_eq!(finding.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn silence_leaves_it_open() {
        let mut silent = seen(executed("2"), Effects::Counted(1));
        silent.other = lost();
        assert_eq!(verdict(silent), Verdict::Inconclusive);
        assert_eq!(
            verdict(seen(failed(503), Effects::Unasked)),
            Verdict::Inconclusive
        );
    }
}
