//! The request that is sent again and again: one method, one path, two users, two payloads.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use serde_json::Value;

use super::{args::Args, change, error::HammerError, target::Target};
use crate::given::Header;

/// How many derived payloads are tried before the rule is given up.
const CANDIDATES: usize = 4;

#[derive(Debug)]
pub(crate) struct Template {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    other: Option<HeaderMap>,
    key_header: HeaderName,
    pub(crate) body: Bytes,
    changed: Result<Vec<Bytes>, &'static str>,
}

/// Whose credentials a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    First,
    Other,
}

impl Template {
    pub(crate) fn new(args: &Args, target: &Target) -> Result<Self, HammerError> {
        let own = args.headers.iter().chain(&args.other_headers);
        if own.clone().any(|header| header.name == args.key_header) {
            let name = args.key_header.clone();
            return Err(HammerError::KeyGiven { name });
        }
        let body = args
            .data
            .as_ref()
            .map_or_else(Bytes::new, |data| data.0.clone().into());
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, target.authority.clone());
        let agent = concat!("idem-hammer/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let json_type = json
            .is_some()
            .then(|| HeaderValue::from_static("application/json"));
        if let Some(value) = args.content_type.clone().or(json_type) {
            headers.insert(header::CONTENT_TYPE, value);
        }
        replace(&mut headers, &args.headers);
        let other = (!args.other_headers.is_empty()).then(|| {
            let mut other = headers.clone();
            replace(&mut other, &args.other_headers);
            other
        });
        Ok(Self {
            method: args.method.clone(),
            uri: Uri::from(target.path.clone()),
            headers,
            other,
            key_header: args.key_header.clone(),
            changed: changed(args, &body, json.as_ref()),
            body,
        })
    }

    /// Payloads that differ from the template's, the likeliest to be accepted first, or why there is none.
    pub(crate) fn changed(&self) -> Result<&[Bytes], &'static str> {
        self.changed.as_deref().map_err(|reason| *reason)
    }

    pub(crate) fn has_other_user(&self) -> bool {
        self.other.is_some()
    }

    /// The template under `key`.
    pub(crate) fn request(&self, key: &str) -> Request<Bytes> {
        self.request_of(Who::First, key, self.body.clone())
    }

    pub(crate) fn request_of(&self, who: Who, key: &str, body: Bytes) -> Request<Bytes> {
        // The keys of this program are hexadecimal digits and dashes.
        let key = HeaderValue::from_str(key).ok();
        self.request_with(who, key, body)
    }

    /// With any key that can be sent, or none.
    pub(crate) fn request_with(
        &self,
        who: Who,
        key: Option<HeaderValue>,
        body: Bytes,
    ) -> Request<Bytes> {
        let mut headers = self.headers_of(who).clone();
        if let Some(key) = key {
            headers.insert(self.key_header.clone(), key);
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request
    }

    /// What asks for the effects: the request's headers, without those of its body.
    pub(crate) fn effects_request(&self, who: Who, target: &Target) -> Request<Bytes> {
        let mut headers = self.headers_of(who).clone();
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::HOST, target.authority.clone());
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = Uri::from(target.path.clone());
        *request.headers_mut() = headers;
        request
    }

    fn headers_of(&self, who: Who) -> &HeaderMap {
        match (who, &self.other) {
            (Who::Other, Some(other)) => other,
            _ => &self.headers,
        }
    }
}

/// Each name given replaces what there was of it; a name given twice is sent twice.
fn replace(headers: &mut HeaderMap, given: &[Header]) {
    for header in given {
        headers.remove(&header.name);
    }
    for header in given {
        headers.append(header.name.clone(), header.value.clone());
    }
}

fn changed(args: &Args, body: &Bytes, json: Option<&Value>) -> Result<Vec<Bytes>, &'static str> {
    if let Some(given) = &args.changed_data {
        if given.0 == *body {
            return Err("--changed-data is the same as --data");
        }
        return Ok(vec![given.0.clone().into()]);
    }
    if body.is_empty() {
        return Err("the request has no payload; --data gives it one");
    }
    let Some(json) = json else {
        return Err("the payload is no JSON, so give another one with --changed-data");
    };
    let changed: Vec<Bytes> = change::changes(json)
        .iter()
        .take(CANDIDATES)
        .map(|changed| changed.to_string().into())
        .collect();
    if changed.is_empty() {
        return Err(
            "the JSON has no number and no text to change; give another payload with --changed-data",
        );
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    async fn template(more: &[&str]) -> Result<Template, HammerError> {
        let line = ["hammer", "http://127.0.0.1:1/pay"].iter().chain(more);
        let args = Line::parse_from(line).args;
        let target = Target::resolve(&args.url, false).await?;
        Template::new(&args, &target)
    }

    #[tokio::test]
    async fn json_says_so_itself_and_text_does_not() {
        let json = template(&["--data", r#"{"a":1}"#]).await.unwrap();
        assert_eq!(
            json.request("k").headers()["content-type"],
            "application/json"
        );
        assert_eq!(json.changed().unwrap(), [r#"{"a":2}"#]);
        let text = template(&["--data", "hello"]).await.unwrap();
        assert!(!text.request("k").headers().contains_key("content-type"));
        assert!(text.changed().unwrap_err().contains("--changed-data"));
    }

    #[tokio::test]
    async fn a_header_given_wins_over_what_is_made_up() {
        let given = template(&["--data", "{}", "-H", "Content-Type: application/x"])
            .await
            .unwrap();
        assert_eq!(
            given.request("k").headers()["content-type"],
            "application/x"
        );
    }

    #[tokio::test]
    async fn the_other_user_replaces_the_first_and_keeps_the_rest() {
        let both = template(&[
            "-H",
            "Authorization: Bearer alice",
            "-H",
            "X-Tenant: t",
            "--other-header",
            "Authorization: Bearer bob",
        ]);
        let both = both.await.unwrap();
        let other = both.request_of(Who::Other, "k", Bytes::new());
        let credentials: Vec<_> = other.headers().get_all("authorization").iter().collect();
        assert_eq!(credentials, ["Bearer bob"]);
        assert_eq!(other.headers()["x-tenant"], "t");
        assert_eq!(both.request("k").headers()["authorization"], "Bearer alice");
    }

    #[tokio::test]
    async fn the_key_is_not_the_users_to_give() {
        let refused = template(&["-H", "idempotency-key: mine"])
            .await
            .unwrap_err();
        assert!(matches!(refused, HammerError::KeyGiven { .. }));
    }

    #[tokio::test]
    async fn the_same_payload_twice_is_no_change() {
        let same = template(&["--data", "a", "--changed-data", "a"])
            .await
            .unwrap();
        assert!(same.changed().is_err());
    }
}
