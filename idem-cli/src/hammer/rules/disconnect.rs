//! **disconnect-safe**: a client that goes away in mid-flight and retries has one effect and one answer.

use std::time::Duration;

use super::{
    super::{
        answer::{Comparison, Reply, side_by_side, troubles},
        budget::Stop,
        client::Lost,
        effects::Effects,
        session::Session,
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
};

const RULE: Rule = Rule::DisconnectSafe;

/// The longest that a client stays before it goes.
const LONGEST: Duration = Duration::from_millis(500);

const LABELS: [&str; 2] = ["retry", "second retry"];

/// What one key was answered.
#[derive(Debug)]
struct Seen {
    key: String,
    delay: Duration,
    abandoned: Result<(), Lost>,
    /// Sent until it was served.
    served: Reply,
    again: Reply,
    effects: Effects,
}

pub(super) async fn run(session: &mut Session) -> Finding {
    let mut all = Vec::new();
    let mut stop = None;
    // From at once to somewhat after the answer would have been there.
    let took = session
        .probe
        .as_ref()
        .map_or(Duration::ZERO, |answer| answer.took);
    let longest = (took * 3 / 2 + Duration::from_millis(2)).min(LONGEST);
    for round in 0..session.rounds {
        let delay = longest * round.into() / u32::from(session.rounds - 1).max(1);
        match look(session, delay).await {
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

async fn look(session: &mut Session, delay: Duration) -> Result<Seen, Stop> {
    let key = session.fresh_key();
    let request = session.template.request(&key);
    Ok(Seen {
        delay,
        abandoned: session.client.abandon(&request, delay).await?,
        served: session.insist(&request).await?,
        again: session.send(request).await?,
        effects: session.new_effects(1).await?,
        key,
    })
}

fn judge(all: &[Seen], comparison: &Comparison) -> Finding {
    let mut case = Case::default();
    for seen in all {
        look_at(seen, comparison, &mut case);
    }
    let keys = all.len();
    let longest = all.iter().map(|seen| seen.delay).max().unwrap_or_default();
    let left = format!("{keys} clients left within {longest:.1?}");
    let fine = match Effects::total(all.iter().map(|seen| &seen.effects)) {
        Some(effects) => (
            Verdict::Holds,
            format!("{left} and retried: {effects} effects, one answer each"),
        ),
        None => (
            Verdict::NotSeen,
            format!(
                "{left}, and each retry was served; whether the request was executed before as well, only --effects-url can show"
            ),
        ),
    };
    case.close(RULE, fine)
}

fn look_at(seen: &Seen, comparison: &Comparison, case: &mut Case) {
    let delay = seen.delay;
    let evidence = |what: String| {
        let when = match delay {
            Duration::ZERO => "as soon as".to_owned(),
            delay => format!("{delay:.1?} after"),
        };
        let what = format!("{what}; the client left {when} it had sent the request");
        Evidence::new(&seen.key, what).executions(seen.effects.counted())
    };
    if let Err(lost) = &seen.abandoned {
        return case.doubtful(evidence(format!("it could not even be sent: {lost}")));
    }
    let served = seen
        .served
        .as_ref()
        .ok()
        .filter(|answer| answer.is_result());
    if let Some(count) = seen.effects.counted()
        && count > 1
    {
        return case.violated(evidence(format!("{count} effects")).answers(served));
    }
    let Some(served) = served else {
        let what = "the retry was not served".to_owned();
        return match &seen.served {
            Ok(answer) if !answer.is_not_now() => case.violated(evidence(what).answers([answer])),
            reply => case.doubtful(evidence(troubles([reply]).unwrap_or(what))),
        };
    };
    match &seen.again {
        Ok(again) if again.is_result() => {
            if let Some(difference) = comparison.contradiction(served, again) {
                let what = format!("two retries differ in {difference}");
                let shown = difference.shown(LABELS, [served, again]);
                return case.violated(evidence(what).answers(shown));
            }
        }
        Ok(again) if !again.is_not_now() => {
            let what = "the second retry was not served".to_owned();
            return case.violated(evidence(what).answers(side_by_side(LABELS, [served, again])));
        }
        reply => {
            let what = troubles([reply]).unwrap_or_default();
            return case.doubtful(evidence(format!("the second retry got {what}")));
        }
    }
    match &seen.effects {
        Effects::Counted(0) => {
            let what = "answered with success, and the count of effects did not move";
            case.doubtful(evidence(what.to_owned()).answers([served]));
        }
        Effects::Unreadable(reason) => {
            case.doubtful(evidence(format!("the effects cannot be counted: {reason}")));
        }
        Effects::Counted(_) | Effects::Unasked => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::answer::synthetic::*, *};

    fn seen() -> Seen {
        Seen {
            key: "k".to_owned(),
            delay: Duration::from_millis(1),
            abandoned: Ok(()),
            served: Ok(replayed("1")),
            again: Ok(replayed("1")),
            effects: Effects::Counted(1),
        }
    }

    fn verdict(seen: Seen) -> Verdict {
        judge(&[seen], &Comparison::default()).verdict
    }

    #[test]
    fn one_effect_and_one_answer_are_right() {
        assert_eq!(verdict(seen()), Verdict::Holds);
        // The request had not begun when its client left.
        assert_eq!(
            verdict(Seen {
                served: Ok(executed("1")),
                ..seen()
            }),
            Verdict::Holds
        );
    }

    #[test]
    fn a_second_effect_is_wrong() {
        assert_eq!(
            verdict(Seen {
                effects: Effects::Counted(2),
                ..seen()
            }),
            Verdict::Violated
        );
    }

    #[test]
    fn two_answers_are_wrong() {
        assert_eq!(
            verdict(Seen {
                again: Ok(replayed("2")),
                ..seen()
            }),
            Verdict::Violated
        );
    }

    #[test]
    fn a_retry_that_is_not_served_is_wrong() {
        assert_eq!(
            verdict(Seen {
                served: Ok(in_progress()),
                ..seen()
            }),
            Verdict::Violated
        );
        assert_eq!(
            verdict(Seen {
                served: Ok(failed(500)),
                ..seen()
            }),
            Verdict::Violated
        );
        assert_eq!(
            verdict(Seen {
                again: Ok(in_progress()),
                ..seen()
            }),
            Verdict::Violated
        );
    }

    #[test]
    fn without_a_count_nobody_has_seen_it() {
        assert_eq!(
            verdict(Seen {
                effects: Effects::Unasked,
                ..seen()
            }),
            Verdict::NotSeen
        );
    }

    #[test]
    fn silence_leaves_it_open() {
        assert_eq!(
            verdict(Seen {
                served: lost(),
                ..seen()
            }),
            Verdict::Inconclusive
        );
        assert_eq!(
            verdict(Seen {
                again: lost(),
                ..seen()
            }),
            Verdict::Inconclusive
        );
        assert_eq!(
            verdict(Seen {
                served: Ok(failed(503)),
                ..seen()
            }),
            Verdict::Inconclusive
        );
        assert_eq!(
            verdict(Seen {
                effects: Effects::Counted(0),
                ..seen()
            }),
            Verdict::Inconclusive
        );
        let unsent = Err(Lost::Connect("refused".to_owned()));
        assert_eq!(
            verdict(Seen {
                abandoned: unsent,
                ..seen()
            }),
            Verdict::Inconclusive
        );
    }
}
