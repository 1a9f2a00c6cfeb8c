//! **bad-key-refused**: a key that is empty, too long or not ASCII is 400 and not executed.

use http::HeaderValue;

use super::{
    super::{
        answer::Reply,
        budget::Stop,
        effects::Effects,
        session::Session,
        template::Who,
        verdict::{Case, Finding, Verdict},
    },
    Rule,
    key_required::refused,
};

const RULE: Rule = Rule::BadKeyRefused;

/// What one unusable key was answered.
type Seen = (&'static str, Reply, Effects);

pub(super) async fn run(session: &mut Session) -> Finding {
    let mut seen = Vec::new();
    let stop = gather(session, &mut seen).await.err();
    session.progress.step();
    judge(&seen).cut_short(stop)
}

async fn gather(session: &mut Session, seen: &mut Vec<Seen>) -> Result<(), Stop> {
    // Of this run, so that a service that takes it has not seen it before.
    let long = format!("{:a<256}", session.fresh_key());
    let foreign = format!("{}-schlüssel", session.fresh_key());
    let keys = [
        ("an empty key", HeaderValue::from_bytes(b"")),
        (
            "a key of 256 bytes",
            HeaderValue::from_bytes(long.as_bytes()),
        ),
        (
            "a key that is not ASCII",
            HeaderValue::from_bytes(foreign.as_bytes()),
        ),
    ];
    for (what, key) in keys {
        let body = session.template.body.clone();
        let request = session.template.request_with(Who::First, key.ok(), body);
        let reply = session.send(request).await?;
        seen.push((what, reply, session.new_effects(0).await?));
    }
    Ok(())
}

fn judge(all: &[Seen]) -> Finding {
    let mut case = Case::default();
    for (what, reply, effects) in all {
        refused(&mut case, what, reply, effects);
    }
    let detail = "empty, 256 bytes, not ASCII: refused with 400".to_owned();
    case.close(RULE, (Verdict::Holds, detail))
}

#[cfg(test)]
mod tests {
    use super::{super::super::answer::synthetic::*, *};

    #[test]
    fn one_key_that_is_taken_is_enough() {
        let refused = || ("empty", Ok(answer(400, &[], "")), Effects::Unasked);
        assert_eq!(judge(&[refused(), refused()]).verdict, Verdict::Holds);
        let taken = ("long", Ok(executed("1")), Effects::Unasked);
        let finding = judge(&[refused(), taken]);
        assert_eq!(finding.verdict, Verdict::Violated);
        assert!(finding.evidence[0].what.starts_with("long"));
    }
}
