//! What a record holds, for `--show-answer`.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use idem_core::record::{Record, RecordedBody};
use serde::Serialize;

use super::output::{count, harmless};

/// A record, read.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// To an HTTP request.
    Response {
        status: u16,
        headers: Vec<(String, String)>,
        #[serde(flatten)]
        body: Body,
    },
    /// The result of a job.
    Value {
        #[serde(flatten)]
        body: Body,
    },
    /// This version of idem cannot read it.
    Unreadable { reason: String },
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Body {
    /// In UTF-8.
    #[serde(rename = "body")]
    Text(String),
    /// Anything else.
    #[serde(rename = "body_base64")]
    Base64(String),
    /// It was too large or streamed, and had so many bytes, if that was known.
    #[serde(rename = "body_not_retained")]
    NotRetained { bytes: Option<u64> },
}

impl Answer {
    pub(crate) fn read(record: &Bytes) -> Self {
        match Record::decode(record) {
            Ok(Record::Response {
                status,
                headers,
                body,
            }) => Self::Response {
                status,
                headers: headers
                    .iter()
                    .map(|(name, value)| (lossy(name), lossy(value)))
                    .collect(),
                body: match body {
                    RecordedBody::Full(bytes) => Body::of(&bytes),
                    RecordedBody::NotRetained { length } => Body::NotRetained { bytes: length },
                },
            },
            Ok(Record::Value(bytes)) => Self::Value {
                body: Body::of(&bytes),
            },
            Err(error) => Self::Unreadable {
                reason: error.to_string(),
            },
        }
    }

    /// As HTTP shows it.
    pub(crate) fn render(&self) -> String {
        match self {
            Self::Response {
                status,
                headers,
                body,
            } => {
                let mut text = format!("{status}\n");
                for (name, value) in headers {
                    text.push_str(&harmless(&format!("{name}: {value}\n")));
                }
                text.push('\n');
                text + &body.render()
            }
            Self::Value { body } => body.render(),
            Self::Unreadable { reason } => format!("({reason})\n"),
        }
    }
}

impl Body {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    fn render(&self) -> String {
        match self {
            Self::Text(text) if text.is_empty() => "(no body)\n".to_owned(),
            Self::Text(text) => harmless(text) + "\n",
            Self::Base64(text) => format!("(in base64) {text}\n"),
            Self::NotRetained { bytes: None } => "(the body was not kept)\n".to_owned(),
            Self::NotRetained { bytes: Some(bytes) } => {
                format!("(the body of {} was not kept)\n", count(*bytes, "byte"))
            }
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn response(body: RecordedBody) -> Answer {
        let headers = vec![("vary".into(), "a".into()), ("vary".into(), "b".into())];
        let record = Record::Response {
            status: 201,
            headers,
            body,
        };
        Answer::read(&record.encode())
    }

    #[test]
    fn a_response_is_shown_with_every_kind_of_body() {
        let full = response(RecordedBody::Full("{}".into()));
        assert_eq!(full.render(), "201\nvary: a\nvary: b\n\n{}\n");
        let shown = json!({
            "kind": "response", "status": 201, "headers": [["vary", "a"], ["vary", "b"]],
            "body": "{}",
        });
        assert_eq!(serde_json::to_value(full).unwrap(), shown);

        let binary = response(RecordedBody::Full(Bytes::from_static(&[0xff, 0])));
        assert_eq!(serde_json::to_value(binary).unwrap()["body_base64"], "/wA=");

        let lost = response(RecordedBody::NotRetained { length: Some(1) });
        assert!(
            lost.render()
                .ends_with("(the body of 1 byte was not kept)\n")
        );
        let shown = serde_json::to_value(lost).unwrap();
        assert_eq!(shown["body_not_retained"], json!({ "bytes": 1 }));
    }

    #[test]
    fn a_value_is_shown_and_what_is_no_record_is_said_to_be_none() {
        let value = Answer::read(&Record::Value("17".into()).encode());
        assert_eq!(value.render(), "17\n");
        let shown = serde_json::to_value(value).unwrap();
        assert_eq!(shown, json!({ "kind": "value", "body": "17" }));
        let none = Answer::read(&"something else".into());
        assert!(none.render().contains("not a record of idem"));
    }
}
