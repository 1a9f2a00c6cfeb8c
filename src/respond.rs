//! Between an answer and its record.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use idem_core::{
    Execution, Finish, Replay, Runtime, Steps, Stop, StoreError, Stored, Worked,
    record::{BodyRef, Record, RecordError, RecordedBody},
};

use crate::{
    Outcome, Writes,
    headers::{EXPIRED, FALSE, REPLAYED, STORED, TRUE, UNPROTECTED},
    outcome::Conflict,
    plan::Plan,
    problem::Problem,
    state::{Idempotency, Shared},
};

/// What a client is told to wait before it asks for a request in progress
/// again, unless the lease ends sooner, and for a store that is out of reach.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A handler's body that takes its recovery points.
pub(crate) type InSteps = Box<dyn FnOnce(Steps) -> BoxFuture<'static, Response> + Send>;

/// A handler's body, and what is kept of its answer.
pub(crate) type Kept = BoxFuture<'static, Finish<Response>>;

type Ended = Execution<Response>;

/// Answers the calls of one endpoint.
pub(crate) struct Answering {
    idempotency: Idempotency,
    plan: Arc<Plan>,
}

impl Answering {
    pub(crate) const fn new(idempotency: Idempotency, plan: Arc<Plan>) -> Self {
        Self { idempotency, plan }
    }

    /// Runs `work` once for the call, or answers from the record.
    pub(crate) async fn run(self, call: idem_core::Call, work: Kept) -> Response {
        self.answer(self.execute(call, work).await)
    }

    /// The same for work with recovery points.
    pub(crate) async fn run_in_steps(self, call: idem_core::Call, work: InSteps) -> Response {
        self.answer(self.execute_in_steps(call, work).await)
    }

    /// What is asynchronous is compiled in each crate that waits for it. What this begins is in
    /// a box, and the box is made here: so an execution is compiled once, in this crate.
    #[inline(never)]
    fn execute(
        &self,
        call: idem_core::Call,
        work: Kept,
    ) -> impl Future<Output = Ended> + Send + use<> {
        self.runtime().execute_boxed(call, work)
    }

    /// As [`execute`](Self::execute).
    #[inline(never)]
    fn execute_in_steps(
        &self,
        call: idem_core::Call,
        work: InSteps,
    ) -> impl Future<Output = Ended> + Send + use<> {
        let keeper = self.keeper();
        let work = move |steps| {
            let work = work(steps);
            async move { keeper.keep(work.await).await }
        };
        self.runtime().execute_in_steps(call, work)
    }

    pub(crate) fn keeper(&self) -> Keeper {
        Keeper {
            idempotency: self.idempotency.clone(),
            plan: Arc::clone(&self.plan),
        }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.idempotency.runtime()
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The answer to a request that is not run.
    pub(crate) fn problem(&self, problem: Problem, detail: Option<String>) -> Response {
        let report = self.idempotency.shared().problems.report(problem);
        match detail {
            Some(detail) => report.detail(detail).into_response(),
            None => report.into_response(),
        }
    }

    /// What the client gets.
    pub(crate) fn answer(&self, execution: Execution<Response>) -> Response {
        let shared = self.idempotency.shared();
        match execution {
            Execution::Ran { answer, stored, .. } => match stored {
                Stored::Recorded | Stored::Released => answer,
                Stored::Pending | Stored::Lost => marked(answer, STORED, FALSE),
            },
            Execution::Unprotected { answer } => marked(answer, UNPROTECTED, TRUE),
            Execution::Replayed(replay) => replayed(shared, &replay),
            Execution::InProgress { lease_left } => shared
                .problems
                .report(Problem::InProgress)
                .retry_after(lease_left.clamp(Duration::from_millis(50), RETRY_AFTER))
                .into_response(),
            Execution::KeyReused => shared
                .problems
                .report(Problem::KeyReused)
                .status(self.plan.profile.key_reused())
                .into_response(),
            Execution::OutcomeUnknown => shared
                .problems
                .report(Problem::OutcomeUnknown)
                .into_response(),
            Execution::Stopped(Stop::Store) => shared
                .problems
                .report(Problem::ExecutionFailed)
                .retry_after(RETRY_AFTER)
                .into_response(),
            Execution::Panicked | Execution::Stopped(Stop::Steps) => shared
                .problems
                .report(Problem::ExecutionFailed)
                .into_response(),
            // The handler has done something that no transaction commits.
            Execution::NotCommitted(StoreError::Refused { .. }) => shared
                .problems
                .report(Problem::ExecutionFailed)
                .into_response(),
            Execution::NotCommitted(_) => shared
                .problems
                .report(Problem::NotCommitted)
                .retry_after(RETRY_AFTER)
                .into_response(),
            Execution::StoreFailed(StoreError::Unopened { .. }) => shared
                .problems
                .report(Problem::RecordUnopened)
                .into_response(),
            Execution::Limited { limit, retry_after } => shared
                .problems
                .report(Problem::TooManyInFlight)
                .limit(limit)
                .retry_after(retry_after)
                .into_response(),
            // It may be the record of this very request: nobody says that nothing was executed.
            Execution::StoreFailed(StoreError::Corrupt { .. }) => shared
                .problems
                .report(Problem::RecordUnreadable)
                .retry_after(RETRY_AFTER)
                .into_response(),
            Execution::StoreFailed(_) => shared
                .problems
                .report(Problem::StoreUnavailable)
                .retry_after(RETRY_AFTER)
                .into_response(),
        }
    }
}

fn marked(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

/// Decides what is kept of a handler's answer. It runs inside the claim.
#[derive(Clone)]
pub(crate) struct Keeper {
    idempotency: Idempotency,
    plan: Arc<Plan>,
}

impl Keeper {
    /// What work in a transaction has come to.
    pub(crate) async fn worked(self, work: impl Future<Output = Response>) -> Worked<Response> {
        self.judged(work.await).await
    }

    /// Compiled once, and not for each handler.
    async fn judged(self, answer: Response) -> Worked<Response> {
        let conflict = answer.extensions().get::<Conflict>().is_some();
        let writes = match answer.extensions().get::<Writes>() {
            Some(Writes::Keep) => idem_core::Writes::Keep,
            Some(Writes::RollBack) => idem_core::Writes::RollBack,
            None if answer.status().as_u16() >= 400 => idem_core::Writes::RollBack,
            None => idem_core::Writes::Keep,
        };
        Worked {
            finish: self.keep(answer).await,
            writes,
            conflict,
        }
    }

    pub(crate) async fn keep(&self, answer: Response) -> Finish<Response> {
        let is_kept = match answer.extensions().get::<Outcome>() {
            Some(Outcome::Record) => true,
            Some(Outcome::Release) => false,
            None => self.plan.record.records(answer.status()),
        };
        if !is_kept {
            return Finish::Release { answer };
        }
        let length = answer.body().size_hint().exact();
        let fits = length.is_some_and(|length| length <= self.plan.max_response as u64);
        if !fits {
            return self.without_body(answer, length);
        }
        let (parts, body) = answer.into_parts();
        match whole(body, self.plan.max_response).await {
            Ok(bytes) => {
                let answer = Response::from_parts(parts, bytes);
                let Some(record) = self.record(&answer) else {
                    return self.without_body(answer.map(Body::from), length);
                };
                Finish::Record {
                    answer: answer.map(Body::from),
                    record,
                }
            }
            Err(error) => {
                // The effect has happened. The answer is lost for this client
                // as for every retry, and all of them are told the same.
                tracing::error!(%error, "the answer's body could not be read");
                Finish::Record {
                    answer: self.not_retained(parts.status.as_u16()),
                    record: not_retained(parts.status, length),
                }
            }
        }
    }

    fn shared(&self) -> &Shared {
        self.idempotency.shared()
    }

    fn without_body(&self, answer: Response, length: Option<u64>) -> Finish<Response> {
        let record = not_retained(answer.status(), length);
        Finish::Record { answer, record }
    }

    fn not_retained(&self, status: u16) -> Response {
        self.shared()
            .problems
            .report(Problem::ResponseNotRetained)
            .original_status(status)
            .into_response()
    }

    /// What is stored of an answer, or `None` when the redact hook panics: the
    /// effect has happened, so the panic must not release the slot, and what
    /// should have been redacted must not be stored.
    fn record(&self, answer: &http::Response<Bytes>) -> Option<Bytes> {
        let (status, headers, body) = (answer.status(), answer.headers(), answer.body());
        let is_recorded = self.shared().headers.recorded(headers);
        let Some(redact) = &self.shared().redact else {
            return Some(recorded(status, headers, is_recorded, body));
        };
        let mut stored = http::Response::new(body.clone());
        *stored.status_mut() = status;
        for (name, value) in headers.iter().filter(|(name, _)| is_recorded(name)) {
            stored.headers_mut().append(name, value.clone());
        }
        match catch_unwind(AssertUnwindSafe(|| redact(&mut stored))) {
            Ok(()) => {
                let (status, headers) = (stored.status(), stored.headers());
                Some(recorded(status, headers, |_| true, stored.body()))
            }
            Err(_panic) => {
                tracing::error!("the redact hook panicked; the answer is stored without its body");
                None
            }
        }
    }
}

/// The whole of a body that says how long it is. Nearly every one is one piece, and is
/// handed on as it is.
async fn whole(mut body: Body, limit: usize) -> Result<Bytes, axum::Error> {
    let first = match body.frame().await {
        Some(frame) => frame?.into_data().unwrap_or_default(),
        None => Bytes::new(),
    };
    let Some(left) = limit.checked_sub(first.len()) else {
        return Err(axum::Error::new(LongerThanItSaid));
    };
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = axum::body::to_bytes(body, left).await?;
    Ok(if rest.is_empty() {
        first
    } else {
        [first, rest].concat().into()
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the body is longer than it said")]
struct LongerThanItSaid;

/// An answer as it is stored, with those of its headers that are.
fn recorded(
    status: StatusCode,
    headers: &HeaderMap,
    is_recorded: impl Fn(&HeaderName) -> bool,
    body: &[u8],
) -> Bytes {
    let headers = |field: &mut dyn FnMut(&[u8], &[u8])| {
        for (name, value) in headers.iter().filter(|(name, _)| is_recorded(name)) {
            field(name.as_str().as_bytes(), value.as_bytes());
        }
    };
    Record::encode_response(status.as_u16(), headers, BodyRef::Full(body))
}

/// The replay of such a record is a problem document, so it needs no headers.
fn not_retained(status: StatusCode, length: Option<u64>) -> Bytes {
    Record::encode_response(status.as_u16(), |_| {}, BodyRef::NotRetained { length })
}

fn replayed(shared: &Shared, replay: &Replay) -> Response {
    let mut response = match restore(&replay.record) {
        Ok(Restored::Response(response)) => response,
        Ok(Restored::NotRetained { status }) => shared
            .problems
            .report(Problem::ResponseNotRetained)
            .original_status(status)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "a recorded answer cannot be replayed");
            return shared
                .problems
                .report(Problem::RecordUnreadable)
                .retry_after(RETRY_AFTER)
                .into_response();
        }
    };
    let headers = response.headers_mut();
    headers.insert(REPLAYED, TRUE);
    if replay.expired {
        headers.insert(EXPIRED, TRUE);
    }
    response
}

pub(crate) enum Restored {
    Response(Response),
    NotRetained { status: u16 },
}

pub(crate) fn restore(record: &Bytes) -> Result<Restored, RecordError> {
    let Record::Response {
        status,
        headers,
        body,
    } = Record::decode(record)?
    else {
        return Err(RecordError::WrongKind);
    };
    let body = match body {
        RecordedBody::Full(body) => body,
        RecordedBody::NotRetained { .. } => return Ok(Restored::NotRetained { status }),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| RecordError::Malformed)?;
    for (name, value) in headers {
        response.headers_mut().append(
            HeaderName::from_bytes(&name).map_err(|_| RecordError::Malformed)?,
            HeaderValue::from_maybe_shared(value).map_err(|_| RecordError::Malformed)?,
        );
    }
    Ok(Restored::Response(response))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_is_recorded_is_restored_and_a_name_that_occurs_twice_occurs_twice() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("vary", "a"), ("location", "/1"), ("vary", "b")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let body = Bytes::from("{}");
        let record = recorded(StatusCode::CREATED, &headers, |_| true, &body);
        let Restored::Response(response) = restore(&record).unwrap() else {
            panic!("the body is recorded");
        };
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(*response.headers(), headers);
        assert_eq!(response.body().size_hint().exact(), Some(2));
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_whole_and_one_that_is_longer_than_it_said_is_an_error() {
        let pieces = |pieces: &'static [&'static str]| {
            let pieces = pieces.iter().map(|piece| Ok::<_, Infallible>(*piece));
            Body::from_stream(futures_util::stream::iter(pieces))
        };
        for (body, limit, expected) in [
            (Body::empty(), 0, Some("")),
            (Body::from("abcd"), 4, Some("abcd")),
            (Body::from("abcde"), 4, None),
            (pieces(&["abcd"]), 4, Some("abcd")),
            (pieces(&["ab", "", "cd"]), 4, Some("abcd")),
            (pieces(&["ab", "cde"]), 4, None),
            (pieces(&["abcde", "f"]), 4, None),
        ] {
            let bytes = whole(body, limit).await.ok();
            assert_eq!(bytes.as_deref(), expected.map(str::as_bytes));
        }
    }
}
