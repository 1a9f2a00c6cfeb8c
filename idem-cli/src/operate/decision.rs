//! What an operator decides, checked before the store is opened.

use std::time::Duration;

use bytes::Bytes;
use clap::ArgGroup;
use http::{HeaderName, HeaderValue, StatusCode, header};
use idem_core::{
    MAX_TTL, Resolution, Retention,
    record::{Record, RecordedBody},
};
use serde::de::IgnoredAny;

use super::{
    OperateError,
    output::{count, duration},
};
use crate::given::{Data, Header};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What no service records: it belongs to one message, or to one caller.
const NEVER: [HeaderName; 8] = [
    header::SET_COOKIE,
    header::DATE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Decision")]
#[command(group(ArgGroup::new("decision").required(true).args(["release", "complete"])))]
#[command(group(ArgGroup::new("record").args(["status", "value"])))]
pub(crate) struct DecisionArgs {
    /// The effect did not happen: a retry may run
    // `requires` below does not see to it: clap does not require what conflicts.
    #[arg(long, conflicts_with_all = ["status", "headers", "body", "value", "grace"])]
    release: bool,

    /// The effect happened: retries get this answer. Needs --status, or --value
    #[arg(long, requires = "record")]
    complete: bool,

    /// The answer's status
    #[arg(long, value_name = "CODE", requires = "complete")]
    status: Option<u16>,

    /// A header of the answer, `Name: value`; may be repeated. `Content-Type: application/json` need
    /// not be said of a body that is JSON
    #[arg(long = "header", value_name = "HEADER", requires = "status")]
    headers: Vec<Header>,

    /// The answer's body: text, or `@FILE`
    #[arg(long, value_name = "BODY", requires = "status")]
    body: Option<Data>,

    /// The result of a job (`once`) instead of an answer: JSON, or `@FILE`
    #[arg(long, value_name = "JSON", requires = "complete", conflicts_with_all = ["headers", "body"])]
    value: Option<Data>,

    /// How long retries get the answer; or, of a release, how long the slot waits for one
    #[arg(long, value_name = "TIME", default_value = "24h")]
    ttl: humantime::Duration,

    /// How long the answer is kept after its ttl [default: 24h]
    #[arg(long, value_name = "TIME")]
    grace: Option<humantime::Duration>,
}

/// A decision that can be applied.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) resolution: Resolution,
    /// `release` or `complete`.
    pub(crate) word: &'static str,
    /// What is recorded, for the question.
    pub(crate) record: Option<String>,
}

impl DecisionArgs {
    /// # Errors
    /// A time, a header, a status or a value that cannot be.
    pub(crate) fn decide(&self) -> Result<Decision, OperateError> {
        let retention = self.retention()?;
        let complete = |record: &Record, text| Decision {
            resolution: Resolution::Complete {
                record: record.encode(),
                retention,
            },
            word: "complete",
            record: Some(text),
        };
        match (self.status, &self.value) {
            (Some(status), _) => {
                let (record, text) = self.response(status)?;
                Ok(complete(&record, text))
            }
            (None, Some(Data(json))) => {
                serde_json::from_slice::<IgnoredAny>(json).map_err(OperateError::Value)?;
                let text = format!("a job's value of {}", count(json.len() as u64, "byte"));
                Ok(complete(&Record::Value(json.clone().into()), text))
            }
            (None, None) => Ok(Decision {
                resolution: Resolution::Release { ttl: retention.ttl },
                word: "release",
                record: None,
            }),
        }
    }

    fn retention(&self) -> Result<Retention, OperateError> {
        let grace = self.grace.unwrap_or(DAY.into());
        let refused = |what, given, rule| Err(OperateError::Retention { what, given, rule });
        if self.ttl.is_zero() {
            return refused("a ttl", self.ttl, "no retry would ever find it");
        }
        if *self.ttl > MAX_TTL {
            return refused("a ttl", self.ttl, "400 days is the longest");
        }
        if *grace > MAX_TTL {
            return refused("a grace", grace, "400 days is the longest");
        }
        Ok(Retention {
            ttl: self.ttl.into(),
            grace: grace.into(),
        })
    }

    /// As a service records one.
    fn response(&self, status: u16) -> Result<(Record, String), OperateError> {
        if !(200..600).contains(&status) {
            return Err(OperateError::Status { status });
        }
        let body = self
            .body
            .as_ref()
            .map_or(Bytes::new(), |body| body.0.clone().into());
        let bodiless = [
            StatusCode::NO_CONTENT,
            StatusCode::RESET_CONTENT,
            StatusCode::NOT_MODIFIED,
        ];
        if bodiless.iter().any(|code| *code == status) && !body.is_empty() {
            return Err(OperateError::Bodiless { status });
        }
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for Header { name, value } in &self.headers {
            if NEVER.contains(name) {
                return Err(OperateError::Header { name: name.clone() });
            }
            headers.push((name.clone(), value.clone()));
        }
        let has_type = headers.iter().any(|(name, _)| name == header::CONTENT_TYPE);
        if !has_type && serde_json::from_slice::<IgnoredAny>(&body).is_ok() {
            let json = HeaderValue::from_static("application/json");
            headers.push((header::CONTENT_TYPE, json));
        }
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let text = format!(
            "the answer {status}, headers {}, a body of {}",
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            },
            count(body.len() as u64, "byte"),
        );
        let bytes = |(name, value): &(HeaderName, HeaderValue)| {
            (
                Bytes::copy_from_slice(name.as_str().as_bytes()),
                Bytes::copy_from_slice(value.as_bytes()),
            )
        };
        let record = Record::Response {
            status,
            headers: headers.iter().map(bytes).collect(),
            body: RecordedBody::Full(body),
        };
        Ok((record, text))
    }
}

impl Decision {
    /// What it means for the next request.
    pub(crate) fn consequence(&self) -> String {
        match &self.resolution {
            Resolution::Release { ttl } => format!(
                "the next request with its key and payload runs; the slot waits for it for {}",
                duration(*ttl)
            ),
            Resolution::Complete { retention, .. } => format!(
                "requests with its key and payload get the record for {}, and marked as expired for {} after that",
                duration(retention.ttl),
                duration(retention.grace)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: DecisionArgs,
    }

    fn parse(line: &[&str]) -> Result<DecisionArgs, clap::Error> {
        Line::try_parse_from([&["x"], line].concat()).map(|line| line.args)
    }

    fn decide(line: &[&str]) -> Result<Decision, OperateError> {
        parse(line).unwrap().decide()
    }

    fn record(line: &[&str]) -> Record {
        let Resolution::Complete { record, .. } = decide(line).unwrap().resolution else {
            panic!("no record of {line:?}");
        };
        Record::decode(&record).unwrap()
    }

    #[test]
    fn a_decision_is_one_of_two_and_a_record_one_of_two() {
        for line in [
            &[][..],
            &["--release", "--complete"],
            &["--complete"],
            &["--complete", "--status", "201", "--value", "1"],
            &["--release", "--status", "201"],
            &["--release", "--value", "1"],
            &["--release", "--body", "x"],
            &["--release", "--header", "a: b"],
            &["--complete", "--body", "x"],
            &["--release", "--grace", "1h"],
            &["--complete", "--value", "1", "--body", "x"],
            &["--status", "201"],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_response_has_lower_case_headers_in_order_and_a_type_if_it_is_json() {
        let line = [
            "--complete",
            "--status",
            "201",
            "--header",
            "Location: /p/1",
            "--header",
            "Vary: a",
            "--header",
            "vary: b",
            "--body",
            "{\"id\":1}",
        ];
        let Record::Response {
            status,
            headers,
            body,
        } = record(&line)
        else {
            panic!("a response");
        };
        assert_eq!(status, 201);
        let expected = [
            ("location", "/p/1"),
            ("vary", "a"),
            ("vary", "b"),
            ("content-type", "application/json"),
        ];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
        assert_eq!(body, RecordedBody::Full("{\"id\":1}".into()));
        for (body, content_type) in [("plain", "X: y"), ("1", "Content-Type: text/plain")] {
            let line = [
                "--complete",
                "--status",
                "200",
                "--header",
                content_type,
                "--body",
                body,
            ];
            let Record::Response { headers, .. } = record(&line) else {
                panic!("a response");
            };
            assert_eq!(headers.len(), 1, "{headers:?}");
        }
    }

    #[test]
    fn a_value_is_json_and_kept_as_it_is_written() {
        let kept = record(&["--complete", "--value", r#"{"b": 1.0, "a": 2}"#]);
        assert_eq!(kept, Record::Value(r#"{"b": 1.0, "a": 2}"#.into()));
        let refused = decide(&["--complete", "--value", "mail-17"]);
        assert!(matches!(refused, Err(OperateError::Value(_))));
    }

    #[test]
    fn what_cannot_be_replayed_is_refused() {
        for line in [
            &["--complete", "--status", "100"][..],
            &["--complete", "--status", "600"],
            &["--complete", "--status", "204", "--body", "x"],
            &[
                "--complete",
                "--status",
                "200",
                "--header",
                "Set-Cookie: a=b",
            ],
            &["--complete", "--status", "200", "--ttl", "0s"],
            &["--complete", "--status", "200", "--ttl", "401days"],
            &["--complete", "--status", "200", "--grace", "401days"],
            &["--release", "--ttl", "0s"],
        ] {
            assert!(decide(line).is_err(), "{line:?}");
        }
    }
}
