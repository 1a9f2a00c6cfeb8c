//! What a client tells the lab to do.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

/// Everything is optional. What cannot be done is refused while the JSON is
/// read, before anything is claimed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Order {
    /// How long the execution takes.
    sleep_ms: u32,
    /// The answer's status; 200 when absent.
    #[serde(deserialize_with = "status")]
    status: Option<u16>,
    /// Whether the handler panics.
    panic: bool,
    /// How many bytes of padding the answer has.
    #[serde(deserialize_with = "size")]
    size: usize,
    /// Set on the answer.
    #[serde(deserialize_with = "headers")]
    headers: BTreeMap<String, String>,
    /// Comes back in the answer.
    pub(crate) note: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    effect: usize,
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    padding: &'a str,
}

impl Order {
    /// Sleeps, panics, answers.
    pub(crate) async fn perform(&self, name: &str, effect: usize) -> Response {
        tokio::time::sleep(Duration::from_millis(self.sleep_ms.into())).await;
        assert!(!self.panic, "the client told this handler to panic");
        let answer = Answer {
            name,
            effect,
            note: self.note.as_deref(),
            padding: &"x".repeat(self.size),
        };
        let status = self
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                headers.append(name, value);
            }
        }
        (status.unwrap_or_default(), headers, Json(answer)).into_response()
    }
}

fn status<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    match Option::<u16>::deserialize(from)? {
        Some(status) if !(200..600).contains(&status) => {
            Err(serde::de::Error::custom("status must be from 200 to 599"))
        }
        status => Ok(status),
    }
}

fn size<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    const MOST: usize = 64 << 20;
    match usize::deserialize(from)? {
        size if size > MOST => Err(serde::de::Error::custom("size must be at most 64 MiB")),
        size => Ok(size),
    }
}

fn headers<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let headers = BTreeMap::<String, String>::deserialize(from)?;
    for (name, value) in &headers {
        let name = HeaderName::try_from(name).map_err(serde::de::Error::custom)?;
        // A server that is told a wrong length breaks the connection.
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(&name) {
            return Err(serde::de::Error::custom(
                "the answer's length is not yours to set",
            ));
        }
        HeaderValue::try_from(value).map_err(serde::de::Error::custom)?;
    }
    Ok(headers)
}
