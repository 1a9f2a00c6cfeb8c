//! What clients send, and how their answers are understood.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::time::timeout;

use super::fleet::Clock;
use crate::history::{Abandoned, Answer, NodeId, PayloadId, Place, Recorder, What};

/// When a request is answered at the latest, by a process that is well: what its handler takes, and
/// what idem may take around it (2 s for the claim, 2 s of waiting, 2 s for the record, and another
/// claim if it has lost its lease), twice over because the machine has other things to do.
pub(super) const ANSWERED: Duration = Duration::from_secs(25);

/// When a client does not believe in an answer any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request of the workload.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    /// `127.0.0.1:PORT`
    pub(super) address: &'a str,
    /// The process that listens there now.
    pub(super) node: NodeId,
    /// `/work`
    pub(super) path: &'a str,
    pub(super) user: &'a str,
    pub(super) key: &'a str,
    pub(super) place: Place,
    pub(super) payload: PayloadId,
    pub(super) body: &'a Value,
    /// When the client hangs up.
    pub(super) leaves: Option<Duration>,
}

/// Sends requests, and notes them.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    pub(super) clock: Clock,
    pub(super) recorder: Recorder,
    next: std::sync::Arc<AtomicU64>,
}

impl Caller {
    /// A caller whose clock is this one.
    #[must_use]
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            clock,
            recorder: Recorder::default(),
            next: std::sync::Arc::default(),
        }
    }

    /// Notes that something happened now.
    pub(super) fn note(&self, what: What) {
        self.recorder.note(self.clock.now(), what);
    }

    /// Sends a request. `None`: there was no answer.
    pub(super) async fn send(&self, call: &Call<'_>) -> Option<Answer> {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let request = request(call, id);
        let now = self.clock.now();
        self.recorder.note(
            now,
            What::Sent {
                call: id,
                node: call.node,
                place: call.place,
                payload: call.payload,
                answer_by: Some(now + ANSWERED),
            },
        );
        let limit = call.leaves.unwrap_or(PATIENCE);
        let what = match timeout(limit, self.exchange(request)).await {
            Ok(Some((status, headers, body))) => What::Answered {
                call: id,
                answer: understood(status, &headers, &body),
            },
            Ok(None) => What::Abandoned {
                call: id,
                why: Abandoned::ConnectionLost,
            },
            Err(_) => What::Abandoned {
                call: id,
                why: Abandoned::ClientLeft,
            },
        };
        self.note(what.clone());
        match what {
            What::Answered { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// One request and its whole answer.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Option<(StatusCode, HeaderMap, String)> {
        let (parts, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Some((parts.status, parts.headers, body))
    }
}

fn request(call: &Call<'_>, id: u64) -> Request<Full<Bytes>> {
    post(call.address, call.path, call.user, call.key)
        .header("call", id)
        .body(Full::new(call.body.to_string().into()))
        .expect("a request")
}

/// A request without its body.
pub(crate) fn post(address: &str, path: &str, user: &str, key: &str) -> http::request::Builder {
    Request::post(format!("http://{address}{path}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {user}"))
        .header("idempotency-key", key)
}

/// Whether a header says `true` (or `false`).
pub(crate) fn says(headers: &HeaderMap, name: &str, word: &str) -> bool {
    headers.get(name).is_some_and(|value| value == word)
}

/// The slug of a problem document.
pub(crate) fn problem(headers: &HeaderMap, body: &str) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?;
    if kind != "application/problem+json" {
        return None;
    }
    let document: Value = serde_json::from_str(body).ok()?;
    let kind = document["type"].as_str()?;
    Some(kind.strip_prefix("urn:idem:problem:")?.to_owned())
}

fn understood(status: StatusCode, headers: &HeaderMap, body: &str) -> Answer {
    if let Some(problem) = problem(headers, body) {
        return match problem.as_str() {
            "in-progress" => Answer::InProgress,
            "key-reused" => Answer::KeyReused,
            "outcome-unknown" => Answer::OutcomeUnknown,
            "store-unavailable" => Answer::StoreUnavailable,
            // No handler of the workload panics: a step could not be kept.
            "execution-failed" => Answer::Stopped,
            _ => Answer::Other(problem),
        };
    }
    let body = body.to_owned();
    match status {
        StatusCode::CREATED if says(headers, "idempotent-replayed", "true") => Answer::Replayed {
            body,
            expired: headers.contains_key("idempotency-expired"),
        },
        StatusCode::CREATED if says(headers, "idempotency-stored", "false") => {
            Answer::NotStored { body }
        }
        StatusCode::CREATED => Answer::Fresh { body },
        StatusCode::BAD_GATEWAY => Answer::Released { body },
        other => Answer::Other(format!("{other} {body}")),
    }
}
