//! **key-required**: a request without a key is 400 and not executed.

use http::StatusCode;

use super::{
    super::{
        answer::Reply,
        effects::Effects,
        session::Session,
        template::Who,
        verdict::{Case, Evidence, Finding, Verdict},
    },
    Rule,
};

const RULE: Rule = Rule::KeyRequired;

pub(super) async fn run(session: &mut Session) -> Finding {
    let body = session.template.body.clone();
    let request = session.template.request_with(Who::First, None, body);
    let seen = async {
        let reply = session.send(request).await?;
        let effects = session.new_effects(0).await?;
        Ok((reply, effects))
    };
    let finding = match seen.await {
        Ok((reply, effects)) => judge(&reply, &effects),
        Err(stop) => Finding::not_seen(RULE, "").cut_short(Some(stop)),
    };
    session.progress.step();
    finding
}

fn judge(reply: &Reply, effects: &Effects) -> Finding {
    let mut case = Case::default();
    refused(&mut case, "no key", reply, effects);
    if let [evidence] = case.violations_mut()
        && reply
            .as_ref()
            .is_ok_and(super::super::answer::Answer::is_result)
    {
        evidence
            .what
            .push_str(" (if keys are optional here by intent: --skip key-required)");
    }
    case.close(RULE, (Verdict::Holds, "refused with 400".to_owned()))
}

/// What a request that names no usable key has to be answered.
pub(super) fn refused(case: &mut Case, what: &str, reply: &Reply, effects: &Effects) {
    let evidence = |text: &str| Evidence {
        key: None,
        what: format!("{what}: {text}"),
        executions: effects.counted(),
        answers: reply.iter().map(ToString::to_string).collect(),
    };
    match (reply, effects) {
        (_, Effects::Counted(count)) if *count > 0 => case.violated(evidence("it was executed")),
        (Err(lost), _) => case.doubtful(evidence(&format!("it got {lost}"))),
        (Ok(answer), _) if answer.is_not_now() => case.doubtful(evidence("it was put off")),
        (Ok(answer), _) if answer.is_result() => {
            case.violated(evidence("it was answered with success"));
        }
        (Ok(answer), _) if answer.status != StatusCode::BAD_REQUEST => {
            case.violated(evidence("it was refused, but not with 400"));
        }
        (_, Effects::Unreadable(reason)) => {
            case.doubtful(evidence(&format!(
                "the effects cannot be counted: {reason}"
            )));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::answer::synthetic::*, *};

    fn verdict(reply: &Reply, effects: &Effects) -> Verdict {
        judge(reply, effects).verdict
    }

    #[test]
    fn only_400_without_an_effect_is_right() {
        let refused = || Ok(answer(400, &[], ""));
        assert_eq!(verdict(&refused(), &Effects::Unasked), Verdict::Holds);
        assert_eq!(verdict(&refused(), &Effects::Counted(0)), Verdict::Holds);
        assert_eq!(verdict(&refused(), &Effects::Counted(1)), Verdict::Violated);
        assert_eq!(
            verdict(&Ok(executed("1")), &Effects::Unasked),
            Verdict::Violated
        );
        assert_eq!(
            verdict(&Ok(answer(422, &[], "")), &Effects::Unasked),
            Verdict::Violated
        );
        assert_eq!(
            verdict(&Ok(failed(500)), &Effects::Unasked),
            Verdict::Violated
        );
    }

    #[test]
    fn silence_leaves_it_open() {
        assert_eq!(verdict(&lost(), &Effects::Unasked), Verdict::Inconclusive);
        assert_eq!(
            verdict(&Ok(failed(503)), &Effects::Unasked),
            Verdict::Inconclusive
        );
    }

    #[test]
    fn who_has_optional_keys_is_told_how_to_say_so() {
        let finding = judge(&Ok(executed("1")), &Effects::Unasked);
        assert!(finding.evidence[0].what.contains("--skip key-required"));
    }
}
