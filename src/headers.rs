//! The names of idem's headers, and which of an answer's headers are recorded.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The header that carries the key unless a handler says otherwise.
pub(crate) const KEY_HEADER: &str = "idempotency-key";

/// On an answer from a record: `true`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// On a replay whose record is past its ttl: `true`.
pub const EXPIRED: HeaderName = HeaderName::from_static("idempotency-expired");

/// On an answer that could not be recorded (yet): `false`.
pub const STORED: HeaderName = HeaderName::from_static("idempotency-stored");

/// On an answer that was made without protection because the store failed and
/// the handler fails open: `true`.
pub const UNPROTECTED: HeaderName = HeaderName::from_static("idempotency-unprotected");

pub(crate) const TRUE: HeaderValue = HeaderValue::from_static("true");
pub(crate) const FALSE: HeaderValue = HeaderValue::from_static("false");

/// Which headers of an answer are recorded, and so replayed.
///
/// Whatever the policy says, never recorded are `Set-Cookie`, `Date`,
/// `Content-Length` (recomputed), the hop-by-hop headers, the usual tracing
/// headers and idem's own marks.
///
/// ```
/// use http::HeaderName;
/// use idem_axum::HeaderPolicy;
///
/// let all_but_one = HeaderPolicy::all().deny(HeaderName::from_static("x-served-by"));
/// let only_these = HeaderPolicy::only([http::header::CONTENT_TYPE, http::header::LOCATION]);
/// # let _ = (all_but_one, only_these);
/// ```
#[derive(Debug, Clone, Default)]
pub struct HeaderPolicy {
    only: Option<HashSet<HeaderName>>,
    denied: HashSet<HeaderName>,
}

impl HeaderPolicy {
    /// Every header that may be recorded is. The default.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only these, as far as they may be recorded.
    #[must_use]
    pub fn only(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self {
            only: Some(names.into_iter().collect()),
            denied: HashSet::new(),
        }
    }

    /// Not this one.
    #[must_use]
    pub fn deny(mut self, name: HeaderName) -> Self {
        self.denied.insert(name);
        self
    }

    /// Whether a header of `answer` is recorded.
    pub(crate) fn recorded<'a>(&'a self, answer: &'a HeaderMap) -> impl Fn(&HeaderName) -> bool {
        let nominates = answer.contains_key(header::CONNECTION);
        move |name| self.records(name) && !(nominates && is_nominated(answer, name))
    }

    fn records(&self, name: &HeaderName) -> bool {
        !belongs_to_one_message(name.as_str())
            && !self.denied.contains(name)
            && self.only.as_ref().is_none_or(|only| only.contains(name))
    }
}

/// Belongs to one message or one caller, so it is never recorded.
fn belongs_to_one_message(name: &str) -> bool {
    match name {
        "set-cookie" | "date" | "content-length" => true,
        // Hop by hop, RFC 9110 §7.6.1.
        "connection"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade"
        | "keep-alive"
        | "proxy-connection" => true,
        // The name of this one request in somebody's traces.
        "traceparent"
        | "tracestate"
        | "traceresponse"
        | "baggage"
        | "server-timing"
        | "x-request-id"
        | "x-correlation-id"
        | "x-trace-id"
        | "x-amzn-trace-id"
        | "x-amzn-requestid"
        | "x-cloud-trace-context"
        | "uber-trace-id"
        | "b3" => true,
        // idem's own marks.
        "idempotent-replayed"
        | "idempotency-expired"
        | "idempotency-stored"
        | "idempotency-unprotected" => true,
        _ => name.starts_with("x-b3-"),
    }
}

/// Whether `Connection` names this header as hop-by-hop, RFC 9110 §7.6.1.
fn is_nominated(answer: &HeaderMap, name: &HeaderName) -> bool {
    answer
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(policy: &HeaderPolicy, headers: &[(&str, &str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let is_recorded = policy.recorded(&map);
        map.keys()
            .filter(|name| is_recorded(name))
            .map(|name| name.as_str().to_owned())
            .collect()
    }

    #[test]
    fn what_belongs_to_one_message_is_never_recorded() {
        let headers = [
            ("content-type", "a/b"),
            ("set-cookie", "a=b"),
            ("date", "now"),
            ("content-length", "3"),
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("traceparent", "00"),
            ("x-b3-traceid", "1"),
            ("x-request-id", "1"),
            ("idempotent-replayed", "true"),
            ("location", "/1"),
        ];
        assert_eq!(
            recorded(&HeaderPolicy::all(), &headers),
            ["content-type", "location"]
        );
        let cookie = HeaderPolicy::only([header::SET_COOKIE, header::LOCATION]);
        assert_eq!(recorded(&cookie, &headers), ["location"]);
        let no_location = HeaderPolicy::all().deny(header::LOCATION);
        assert_eq!(recorded(&no_location, &headers), ["content-type"]);
    }

    #[test]
    fn none_of_the_marks_is_recorded() {
        let names = [REPLAYED, EXPIRED, STORED, UNPROTECTED];
        assert!(names.iter().all(|name| !HeaderPolicy::all().records(name)));
    }
}
