//! What came back, what it means, and how two answers differ.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::client::Lost;

/// On an answer from a record.
const REPLAYED: &str = "idempotent-replayed";

/// How much of a body is shown.
const SHOWN: usize = 160;

/// What became of a request.
pub(crate) type Reply = Result<Answer, Lost>;

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

/// What an answer means. The template is one that the service accepts, so a success that is not
/// marked as a replay is taken for an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Executed,
    Replayed,
    /// 409.
    Conflict,
    /// Any other answer below 500: validation, throttling, credentials.
    Refused,
    Failed,
}

impl Answer {
    pub(crate) fn kind(&self) -> Kind {
        if self.is_marked() {
            Kind::Replayed
        } else if self.status.is_success() {
            Kind::Executed
        } else if self.status == StatusCode::CONFLICT {
            Kind::Conflict
        } else if self.status.is_server_error() {
            Kind::Failed
        } else {
            Kind::Refused
        }
    }

    /// Whether it is an answer of the request itself, now or from a record.
    pub(crate) fn is_result(&self) -> bool {
        matches!(self.kind(), Kind::Executed | Kind::Replayed)
    }

    fn is_marked(&self) -> bool {
        let mark = self.headers.get(REPLAYED);
        mark.is_some_and(|mark| mark.as_bytes().eq_ignore_ascii_case(b"true"))
    }

    pub(crate) fn is_problem(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
    }

    pub(crate) fn says_retry(&self) -> bool {
        self.headers.contains_key(header::RETRY_AFTER)
    }

    /// A conflict that says of itself that no retry will ever be served.
    pub(crate) fn is_final_conflict(&self) -> bool {
        self.kind() == Kind::Conflict
            && serde_json::from_slice::<Value>(&self.body)
                .is_ok_and(|problem| problem.get("retryable") == Some(&Value::Bool(false)))
    }

    /// idem's word for an answer that was given once and not kept, because it was too large or a
    /// stream: what no retry can be given, and no execution either.
    pub(crate) fn is_not_retained(&self) -> bool {
        self.is_marked()
            && self.status == StatusCode::CONFLICT
            && serde_json::from_slice::<Value>(&self.body)
                .is_ok_and(|problem| problem.get("original_status").is_some())
    }

    /// 503 and 429 say "not now", and nothing about idempotency.
    pub(crate) fn is_not_now(&self) -> bool {
        matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::BAD_GATEWAY
                | StatusCode::GATEWAY_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::REQUEST_TIMEOUT
        )
    }
}

/// On one line, shortened, and without anything that would move a terminal's cursor.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        if let Some(reason) = self.status.canonical_reason() {
            write!(f, " {reason}")?;
        }
        if self.is_marked() {
            f.write_str(" (replayed)")?;
        }
        if self.body.is_empty() {
            return f.write_str(", no body");
        }
        write!(f, " {}", shortened(&self.body))
    }
}

/// Two answers for people, one below the other, each with its label.
pub(crate) fn side_by_side(labels: [&str; 2], answers: [&Answer; 2]) -> [String; 2] {
    let width = labels.map(str::len).into_iter().max().unwrap_or(0);
    let line = |n: usize| format!("{:<width$}  {}", labels[n], answers[n]);
    [line(0), line(1)]
}

/// The beginning of a body or payload, fit for a terminal.
pub(crate) fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Compares an answer with its replay.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Headers that may differ, beside those that belong to one message.
    pub(crate) ignored: Vec<HeaderName>,
}

/// Headers that belong to one message, one hop, one caller or one trace.
const OF_ONE_MESSAGE: [&str; 27] = [
    "age",
    "alt-svc",
    "connection",
    "content-length",
    "date",
    "idempotency-expired",
    "idempotency-stored",
    "idempotent-replayed",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "server-timing",
    "set-cookie",
    "traceparent",
    "tracestate",
    "traceresponse",
    "baggage",
    "b3",
    "uber-trace-id",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-correlation-id",
    "x-request-id",
    "x-response-time",
    "x-runtime",
];

const FAMILIES: [&str; 6] = [
    "cf-",
    "ratelimit",
    "x-amz",
    "x-b3-",
    "x-ratelimit",
    "x-cloud-trace",
];

impl Comparison {
    /// In what the two differ, or `None`. What tells most comes first.
    pub(crate) fn difference(&self, one: &Answer, other: &Answer) -> Option<Difference> {
        if one.status != other.status {
            return Some(Difference::Status);
        }
        if one.body != other.body {
            return Some(Difference::Body);
        }
        let mut names = one.headers.keys().chain(other.headers.keys());
        names
            .find(|name| self.compares(name) && lines(one, name) != lines(other, name))
            .map(|name| Difference::Header(name.clone()))
    }

    /// The same, where an answer that was not kept is no other answer. That it was not is for the
    /// rule `same-answer` alone.
    pub(crate) fn contradiction(&self, one: &Answer, other: &Answer) -> Option<Difference> {
        if one.is_not_retained() || other.is_not_retained() {
            return None;
        }
        self.difference(one, other)
    }

    fn compares(&self, name: &HeaderName) -> bool {
        !OF_ONE_MESSAGE.contains(&name.as_str())
            && !FAMILIES
                .iter()
                .any(|family| name.as_str().starts_with(family))
            && !self.ignored.contains(name)
    }
}

fn lines<'a>(answer: &'a Answer, name: &HeaderName) -> Vec<&'a HeaderValue> {
    answer.headers.get_all(name).iter().collect()
}

/// In what two answers differ that should be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    Status,
    Body,
    Header(HeaderName),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("the status"),
            Self::Body => f.write_str("the body"),
            Self::Header(name) => write!(f, "the header `{name}`"),
        }
    }
}

impl Difference {
    /// The two answers for people, with what differs in them.
    pub(crate) fn shown(&self, labels: [&str; 2], answers: [&Answer; 2]) -> [String; 2] {
        let [mut one, mut other] = side_by_side(labels, answers);
        if let Self::Header(name) = self {
            for (line, answer) in [(&mut one, answers[0]), (&mut other, answers[1])] {
                let values = lines(answer, name);
                let values: Vec<_> = values.iter().map(|v| shortened(v.as_bytes())).collect();
                let values = if values.is_empty() {
                    "(none)".to_owned()
                } else {
                    values.join(", ")
                };
                line.push_str(&format!("  {name}: {values}"));
            }
        }
        [one, other]
    }
}

/// What of these replies says nothing about idempotency (nothing came, or "not now", or a failure),
/// for people: `3 × 503 Service Unavailable …, 1 × no answer within 10s`.
pub(crate) fn troubles<'a>(replies: impl IntoIterator<Item = &'a Reply>) -> Option<String> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for reply in replies {
        let trouble = match reply {
            Err(lost) => lost.to_string(),
            Ok(answer) if matches!(answer.kind(), Kind::Failed | Kind::Refused) => {
                answer.to_string()
            }
            Ok(_) => continue,
        };
        match counted.iter_mut().find(|(known, _)| *known == trouble) {
            Some((_, count)) => *count += 1,
            None => counted.push((trouble, 1)),
        }
    }
    let shown: Vec<String> = counted
        .iter()
        .take(3)
        .map(|(trouble, count)| format!("{count} × {trouble}"))
        .collect();
    (!shown.is_empty()).then(|| shown.join("; "))
}

#[cfg(test)]
pub(crate) mod synthetic {
    //! Answers for the tests of the verdicts.
    use super::*;

    pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            took: Duration::from_millis(1),
        }
    }

    pub(crate) fn executed(body: &str) -> Answer {
        answer(201, &[], body)
    }

    pub(crate) fn replayed(body: &str) -> Answer {
        answer(201, &[("idempotent-replayed", "true")], body)
    }

    pub(crate) fn in_progress() -> Answer {
        let headers = [
            ("content-type", "application/problem+json"),
            ("retry-after", "1"),
        ];
        answer(409, &headers, r#"{"retryable":true}"#)
    }

    pub(crate) fn reused() -> Answer {
        let headers = [("content-type", "application/problem+json")];
        answer(409, &headers, r#"{"retryable":false}"#)
    }

    pub(crate) fn not_retained() -> Answer {
        let headers = [
            ("content-type", "application/problem+json"),
            ("idempotent-replayed", "true"),
        ];
        answer(
            409,
            &headers,
            r#"{"original_status":201,"retryable":false}"#,
        )
    }

    pub(crate) fn failed(status: u16) -> Answer {
        answer(status, &[], "oops")
    }

    pub(crate) fn lost() -> Reply {
        Err(Lost::Timeout(Duration::from_secs(10)))
    }
}

#[cfg(test)]
mod tests {
    use super::{synthetic::*, *};

    #[test]
    fn a_replay_may_differ_in_what_belongs_to_the_message() {
        let same = Comparison::default();
        let first = answer(
            201,
            &[("date", "a"), ("x-request-id", "1"), ("location", "/1")],
            "b",
        );
        let again = answer(
            201,
            &[
                ("date", "b"),
                ("idempotent-replayed", "true"),
                ("location", "/1"),
            ],
            "b",
        );
        assert_eq!(same.difference(&first, &again), None);
    }

    #[test]
    fn status_header_and_body_are_each_compared() {
        let same = Comparison::default();
        let first = answer(201, &[("location", "/1")], "b");
        let differs = |other: &Answer| same.difference(&first, other).unwrap();
        let location = Difference::Header(header::LOCATION);
        assert_eq!(
            differs(&answer(200, &[("location", "/1")], "b")),
            Difference::Status
        );
        assert_eq!(differs(&answer(201, &[("location", "/2")], "b")), location);
        assert_eq!(differs(&answer(201, &[], "b")), location);
        assert_eq!(
            differs(&answer(201, &[("location", "/1")], "c")),
            Difference::Body
        );
        let shown = location.shown(["first", "retry"], [&first, &answer(201, &[], "b")]);
        assert!(shown[0].ends_with("location: /1"), "{shown:?}");
        assert!(shown[1].ends_with("location: (none)"), "{shown:?}");
        let lenient = Comparison {
            ignored: vec![header::LOCATION],
        };
        assert_eq!(lenient.difference(&first, &answer(201, &[], "b")), None);
    }

    #[test]
    fn an_answer_that_was_not_kept_differs_and_contradicts_nothing() {
        let same = Comparison::default();
        assert_eq!(
            same.difference(&executed("1"), &not_retained()),
            Some(Difference::Status)
        );
        assert_eq!(same.contradiction(&executed("1"), &not_retained()), None);
        assert_eq!(
            same.contradiction(&executed("1"), &executed("2")),
            Some(Difference::Body)
        );
    }

    #[test]
    fn what_is_shown_is_one_short_line() {
        let long = answer(200, &[], &format!("a\n\u{1b}[2J{}", "b".repeat(500)));
        let shown = long.to_string();
        assert!(!shown.contains(['\n', '\u{1b}']), "{shown:?}");
        assert!(shown.chars().count() < 200, "{shown}");
    }

    #[test]
    fn troubles_are_counted() {
        let replies = [
            lost(),
            lost(),
            Ok(failed(500)),
            Ok(executed("a")),
            Ok(in_progress()),
        ];
        let text = troubles(&replies).unwrap();
        assert!(
            text.starts_with("2 × no answer within 10s; 1 × 500"),
            "{text}"
        );
        assert_eq!(troubles(&[Ok(executed("a"))]), None);
    }
}
