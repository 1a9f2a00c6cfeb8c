//! One request first: is the service there, does it accept the template, do the effects count?

use http::{StatusCode, header};

use super::{
    answer::{Answer, Reply},
    client::Lost,
    error::HammerError,
    session::Session,
    template::Who,
};

/// Leaves the session with the probe's answer and a count to go on from.
pub(crate) async fn probe(session: &mut Session) -> Result<(), HammerError> {
    let before = count(session).await?;
    let key = session.fresh_key();
    let request = session.template.request(&key);
    let reply = session.send(request).await.map_err(HammerError::Bounds)?;
    session.probe = Some(accepted(reply, &session.client.target().url)?);
    let Some(before) = before else {
        return Ok(());
    };
    if let Some(counter) = &mut session.effects {
        counter.mark = Some(before);
    }
    session.new_effects(1).await.map_err(HammerError::Bounds)?;
    let counter = session.effects.as_ref();
    let after = counter.and_then(|counter| counter.mark).unwrap_or(before);
    if after == before + 1 {
        return Ok(());
    }
    Err(HammerError::EffectsDoNotCount {
        url: effects_url(session),
        before,
        after,
    })
}

async fn count(session: &Session) -> Result<Option<u64>, HammerError> {
    let count = session
        .count(Who::First)
        .await
        .map_err(HammerError::Bounds)?;
    count.transpose().map_err(|reason| HammerError::Effects {
        url: effects_url(session),
        reason,
    })
}

fn effects_url(session: &Session) -> String {
    let counter = session.effects.as_ref();
    counter.map_or_else(String::new, |counter| counter.client.target().url.clone())
}

fn accepted(reply: Reply, url: &str) -> Result<Answer, HammerError> {
    let answer = reply.map_err(|cause| match cause {
        Lost::Stopped(stop) => HammerError::Bounds(stop),
        cause => HammerError::Unreachable {
            url: url.to_owned(),
            cause,
        },
    })?;
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(HammerError::Refused {
        advice: advice(&answer),
        answer: answer.to_string(),
    })
}

fn advice(answer: &Answer) -> String {
    let advice = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "give the credentials of a user who may do this: -H 'Authorization: …'"
        }
        StatusCode::NOT_FOUND => {
            "check the URL's path; the method is POST unless --method says otherwise"
        }
        StatusCode::METHOD_NOT_ALLOWED => "give the method that this URL takes: --method",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "say what the body is: --content-type",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            "give a request that the service accepts (--data, --content-type, -H); if it takes its key from another header, name that with --key-header"
        }
        StatusCode::TOO_MANY_REQUESTS => {
            "wait until the service lets this client in again, or exempt it from throttling"
        }
        StatusCode::CONFLICT => {
            "the key was fresh, so the request itself is in conflict with what the service holds: give one that can be repeated under new keys"
        }
        status if status.is_redirection() => {
            let place = answer.headers.get(header::LOCATION);
            let place = place.map_or("elsewhere".into(), |place| {
                super::answer::shortened(place.as_bytes())
            });
            return format!("redirects are not followed; it leads to {place}");
        }
        status if status.is_server_error() => {
            "the service fails on a single request; repair that first"
        }
        _ => "give a request that the service answers with success (2xx)",
    };
    advice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::answer::synthetic::{answer, executed, lost};
    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        let advised = [
            (401, "Authorization"),
            (404, "path"),
            (405, "--method"),
            (415, "--content-type"),
            (422, "--data"),
            (409, "fresh"),
            (500, "repair"),
        ];
        for (status, word) in advised {
            let refused = accepted(Ok(answer(status, &[], "why")), "u")
                .unwrap_err()
                .to_string();
            assert!(refused.contains(word), "{refused}");
            assert!(refused.contains("why"), "{refused}");
        }
        let moved = accepted(Ok(answer(302, &[("location", "/new")], "")), "u").unwrap_err();
        assert!(moved.to_string().contains("/new"), "{moved}");
    }

    #[test]
    fn success_is_accepted_and_silence_is_not() {
        accepted(Ok(executed("a")), "u").unwrap();
        let silent = accepted(lost(), "http://u").unwrap_err();
        assert!(silent.to_string().contains("http://u"), "{silent}");
    }
}
