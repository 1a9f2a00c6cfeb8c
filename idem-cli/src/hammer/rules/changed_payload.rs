//! **changed-payload-refused**: a used key with another payload is 409 or 422 without `Retry-After`:
//! it is not executed, it is not given the other payload's answer, and it changes nothing of it.

use bytes::Bytes;
use http::StatusCode;

use super::{
    super::{
        answer::{Comparison, Kind, Reply, shortened, side_by_side, troubles},
        budget::Stop,
        effects::Effects,
        session::Session,
        template::Who,
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
};

const RULE: Rule = Rule::ChangedPayloadRefused;

/// Keys it is tried with; nothing here depends on timing.
const KEYS: u16 = 3;

const LABELS: [&str; 2] = ["before", "after"];

/// What one key was answered.
#[derive(Debug)]
struct Seen {
    key: String,
    /// The payload that is sent under the used key.
    payload: Bytes,
    first: Reply,
    changed: Reply,
    /// The first payload once more.
    again: Reply,
    effects: Effects,
}

pub(super) async fn run(session: &mut Session) -> Finding {
    let (finding, stop) = match accepted_change(session).await {
        Ok(Ok(payload)) => {
            let (seen, stop) = gather(session, &payload).await;
            (judge(&seen, &session.comparison), stop)
        }
        Ok(Err(finding)) => (finding, None),
        Err(stop) => (Finding::not_seen(RULE, ""), Some(stop)),
    };
    session.progress.step();
    finding.cut_short(stop)
}

/// A payload that the service executes under a key of its own: what it refuses anyway would be
/// refused here for a wrong reason.
async fn accepted_change(session: &mut Session) -> Result<Result<Bytes, Finding>, Stop> {
    let candidates = match session.template.changed() {
        Ok(candidates) => candidates.to_vec(),
        Err(reason) => return Ok(Err(Finding::skipped(RULE, reason))),
    };
    let mut refusal = String::new();
    for payload in candidates {
        let key = session.fresh_key();
        let request = session
            .template
            .request_of(Who::First, &key, payload.clone());
        let reply = session.send(request).await?;
        let is_executed = matches!(&reply, Ok(answer) if answer.kind() == Kind::Executed);
        // Its effect must not be counted for the next key.
        session.new_effects(is_executed.into()).await?;
        match reply {
            Ok(_) if is_executed => return Ok(Ok(payload)),
            Ok(answer) => refusal = format!("{} is answered {answer}", shortened(&payload)),
            Err(lost) => refusal = format!("{} got {lost}", shortened(&payload)),
        }
    }
    let reason = format!(
        "the service refuses other payloads even under a new key ({refusal}): give one that it accepts with --changed-data"
    );
    Ok(Err(Finding::skipped(RULE, reason)))
}

async fn gather(session: &mut Session, payload: &Bytes) -> (Vec<Seen>, Option<Stop>) {
    let mut all = Vec::new();
    for _ in 0..KEYS.min(session.rounds) {
        match look(session, payload).await {
            Ok(seen) => all.push(seen),
            Err(stop) => return (all, Some(stop)),
        }
    }
    (all, None)
}

async fn look(session: &mut Session, payload: &Bytes) -> Result<Seen, Stop> {
    let key = session.fresh_key();
    let original = session.template.request(&key);
    let other = session
        .template
        .request_of(Who::First, &key, payload.clone());
    Ok(Seen {
        payload: payload.clone(),
        first: session.insist(&original).await?,
        changed: session.send(other).await?,
        again: session.send(original).await?,
        effects: session.new_effects(1).await?,
        key,
    })
}

fn judge(all: &[Seen], comparison: &Comparison) -> Finding {
    let mut case = Case::default();
    for seen in all {
        look_at(seen, comparison, &mut case);
    }
    let status = all
        .iter()
        .find_map(|seen| Some(seen.changed.as_ref().ok()?.status.as_u16()));
    let detail = format!(
        "{} keys; refused with {}",
        all.len(),
        status.unwrap_or_default()
    );
    case.close(RULE, (Verdict::Holds, detail))
}

fn look_at(seen: &Seen, comparison: &Comparison, case: &mut Case) {
    let sent = shortened(&seen.payload);
    let evidence = |what: String| {
        Evidence::new(&seen.key, format!("{what}; sent {sent}")).executions(seen.effects.counted())
    };
    let (first, changed) = match (&seen.first, &seen.changed) {
        (Ok(first), Ok(changed)) if first.is_result() => (first, changed),
        (first, changed) => {
            let what =
                troubles([first, changed]).unwrap_or_else(|| "the key was not executed".to_owned());
            return case.doubtful(evidence(what));
        }
    };
    let both = || side_by_side(["original", "changed"], [first, changed]);
    if changed.is_not_now() {
        return case.doubtful(evidence("it was put off".to_owned()).answers([changed]));
    }
    let is_refusal =
        [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&changed.status);
    let wrong = if seen.effects.counted().is_some_and(|count| count > 1) {
        Some("the other payload was executed too".to_owned())
    } else if changed.is_result() && changed.body == first.body {
        Some("it was given the first payload's answer".to_owned())
    } else if changed.is_result() {
        Some("it was answered as if it had been executed".to_owned())
    } else if !is_refusal {
        Some("it was answered with neither 409 nor 422".to_owned())
    } else if changed.says_retry() {
        Some("the refusal says Retry-After, and no retry will ever be served".to_owned())
    } else {
        None
    };
    if let Some(wrong) = wrong {
        return case.violated(evidence(wrong).answers(both()));
    }
    match &seen.again {
        Ok(again) if again.is_result() => {
            if let Some(difference) = comparison.contradiction(first, again) {
                let what = format!("afterwards the first payload's answer differs in {difference}");
                let shown = difference.shown(LABELS, [first, again]);
                case.violated(evidence(what).answers(shown));
            }
        }
        Ok(again) if again.is_not_now() => {
            case.doubtful(
                evidence("the first payload was put off afterwards".to_owned()).answers([again]),
            );
        }
        Ok(again) => {
            let what = "afterwards the first payload is not served any more".to_owned();
            case.violated(evidence(what).answers(side_by_side(LABELS, [first, again])));
        }
        Err(lost) => case.doubtful(evidence(format!("the first payload got {lost} afterwards"))),
    }
    if let Effects::Unreadable(reason) = &seen.effects {
        case.doubtful(evidence(format!("the effects cannot be counted: {reason}")));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::answer::{Answer, synthetic::*},
        *,
    };

    fn seen(changed: Reply) -> Seen {
        Seen {
            key: "k".to_owned(),
            payload: Bytes::from_static(b"2"),
            first: Ok(executed("1")),
            changed,
            again: Ok(replayed("1")),
            effects: Effects::Counted(1),
        }
    }

    fn verdict(seen: Seen) -> Verdict {
        judge(&[seen], &Comparison::default()).verdict
    }

    fn of(changed: Answer) -> Verdict {
        verdict(seen(Ok(changed)))
    }

    #[test]
    fn a_refusal_that_is_final_is_right() {
        assert_eq!(of(reused()), Verdict::Holds);
        assert_eq!(of(answer(422, &[], "reused")), Verdict::Holds);
    }

    #[test]
    fn the_others_answer_an_execution_and_any_other_status_are_wrong() {
        assert_eq!(of(replayed("1")), Verdict::Violated);
        assert_eq!(of(executed("1")), Verdict::Violated);
        assert_eq!(of(executed("2")), Verdict::Violated);
        assert_eq!(of(answer(400, &[], "")), Verdict::Violated);
        assert_eq!(of(failed(500)), Verdict::Violated);
    }

    #[test]
    fn a_refusal_that_promises_a_retry_is_wrong() {
        assert_eq!(of(in_progress()), Verdict::Violated);
    }

    #[test]
    fn an_execution_behind_a_refusal_is_wrong() {
        let mut executed = seen(Ok(reused()));
        executed.effects = Effects::Counted(2);
        assert_eq!(verdict(executed), Verdict::Violated);
    }

    #[test]
    fn a_refusal_that_spoils_the_first_answer_is_wrong() {
        for spoilt in [replayed("2"), reused(), failed(500)] {
            let mut seen = seen(Ok(reused()));
            seen.again = Ok(spoilt);
            assert_eq!(verdict(seen), Verdict::Violated);
        }
    }

    #[test]
    fn silence_and_being_put_off_leave_it_open() {
        assert_eq!(verdict(seen(lost())), Verdict::Inconclusive);
        assert_eq!(of(failed(503)), Verdict::Inconclusive);
        let mut unclear = seen(Ok(reused()));
        unclear.first = Ok(failed(500));
        assert_eq!(verdict(unclear), Verdict::Inconclusive);
    }
}
