//! idem's own answers: problem documents (RFC 9457).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use idem_core::Limit;
use serde::Serialize;

/// What idem answers instead of the handler. The names are stable: the
/// document's `type` is the configured base followed by [`slug`](Self::slug).
///
/// A response of idem's own carries its `Problem` as an extension, so that a
/// middleware can tell it from the handler's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// 400: there is no key and one is required.
    KeyMissing,
    /// 400: the key cannot be used.
    KeyInvalid,
    /// 401: it is not known whose key it is.
    ScopeUnresolved,
    /// 400: the payload cannot be fingerprinted.
    PayloadUnusable,
    /// 413: the payload is larger than the layer reads.
    PayloadTooLarge,
    /// 409: the same request runs now.
    InProgress,
    /// 409, or 422 under [`Profile::Ietf`](crate::Profile::Ietf): the key belongs to another payload.
    KeyReused,
    /// 409: an earlier execution fell silent and nobody runs it again.
    OutcomeUnknown,
    /// 409: the request was answered, but the answer was too large to keep, or streamed.
    ResponseNotRetained,
    /// 500: the handler panicked, or could not go on from its recovery points.
    ExecutionFailed,
    /// 503: the request was received before, and this node cannot read what is kept of it.
    RecordUnreadable,
    /// 500: what is kept of the request does not open, see
    /// [`StoreError::Unopened`](crate::StoreError::Unopened); the handler did not run.
    RecordUnopened,
    /// 503: the handler ran in a transaction that has not committed, or the database
    /// went away before it said whether it had.
    NotCommitted,
    /// 429: the caller's scope is at a [limit](idem_core::Limits); the handler did not run.
    TooManyInFlight,
    /// 503: the store did not take the claim; the handler did not run.
    StoreUnavailable,
    /// 500: the service is set up wrongly.
    Misconfigured,
}

impl Problem {
    /// The end of the document's `type`.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::KeyMissing => "key-missing",
            Self::KeyInvalid => "key-invalid",
            Self::ScopeUnresolved => "scope-unresolved",
            Self::PayloadUnusable => "payload-unusable",
            Self::PayloadTooLarge => "payload-too-large",
            Self::InProgress => "in-progress",
            Self::KeyReused => "key-reused",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::ResponseNotRetained => "response-not-retained",
            Self::ExecutionFailed => "execution-failed",
            Self::RecordUnreadable => "record-unreadable",
            Self::RecordUnopened => "record-unopened",
            Self::NotCommitted => "not-committed",
            Self::TooManyInFlight => "too-many-in-flight",
            Self::StoreUnavailable => "store-unavailable",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Whether the same request, sent again later, may be answered.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::InProgress
                | Self::ExecutionFailed
                | Self::RecordUnreadable
                | Self::NotCommitted
                | Self::TooManyInFlight
                | Self::StoreUnavailable
        )
    }

    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::KeyMissing | Self::KeyInvalid | Self::PayloadUnusable => StatusCode::BAD_REQUEST,
            Self::ScopeUnresolved => StatusCode::UNAUTHORIZED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InProgress
            | Self::KeyReused
            | Self::OutcomeUnknown
            | Self::ResponseNotRetained => StatusCode::CONFLICT,
            Self::TooManyInFlight => StatusCode::TOO_MANY_REQUESTS,
            Self::ExecutionFailed | Self::RecordUnopened | Self::Misconfigured => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::RecordUnreadable | Self::NotCommitted | Self::StoreUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::KeyMissing => "An idempotency key is required",
            Self::KeyInvalid => "The idempotency key is invalid",
            Self::ScopeUnresolved => "The caller is not known",
            Self::PayloadUnusable => "The payload cannot be fingerprinted",
            Self::PayloadTooLarge => "The payload is too large",
            Self::InProgress => "The same request is in progress",
            Self::KeyReused => "The idempotency key was used for another request",
            Self::OutcomeUnknown => "The outcome of an earlier attempt is unknown",
            Self::ResponseNotRetained => "The original response was not retained",
            Self::ExecutionFailed => "The request failed unexpectedly",
            Self::RecordUnreadable => "What is kept of the request cannot be read",
            Self::RecordUnopened => "What is kept of the request cannot be opened",
            Self::NotCommitted => "The request was not committed",
            Self::TooManyInFlight => "The caller has too much in flight or stored",
            Self::StoreUnavailable => "Idempotency cannot be guaranteed now",
            Self::Misconfigured => "The service is misconfigured",
        }
    }

    /// What the client should do, where the place of the problem does not know better.
    const fn advice(self) -> &'static str {
        match self {
            Self::KeyMissing => {
                "Send an idempotency key that is unique to this request, and the same one with \
                 every retry of it."
            }
            Self::KeyInvalid => "Send a key of 1 to 255 printable ASCII characters.",
            Self::ScopeUnresolved => {
                "Authenticate: an idempotency key belongs to a caller. Nothing was executed."
            }
            Self::PayloadUnusable => "Correct the payload. Nothing was executed.",
            Self::PayloadTooLarge => "Send a smaller payload. Nothing was executed.",
            Self::InProgress => {
                "A request with this key is being processed. Retry later with the same key to \
                 get its response; do not use a new key."
            }
            Self::KeyReused => {
                "This key belongs to a request with a different payload. Retry with the original \
                 payload to get its response, or use a new key for a new request."
            }
            Self::OutcomeUnknown => {
                "An earlier attempt with this key was interrupted and may or may not have taken \
                 effect. It is not repeated; contact the operator of this service."
            }
            Self::ResponseNotRetained => {
                "The request with this key was processed once, with the status in original_status. \
                 Its response body was not kept. Query the resource instead of retrying."
            }
            Self::ExecutionFailed => {
                "The request was interrupted by an internal error. Retry with the same key."
            }
            Self::RecordUnreadable => {
                "A request with this key was received before, and what is kept of it cannot be read \
                 now. It is not repeated. Retry later with the same key to get its response."
            }
            Self::RecordUnopened => {
                "A request with this key was received before, and what is kept of it does not open with the keys and \
                 features of this service. It is not repeated. Contact the operator of this service, who finds \
                 the reason in its log: a key or feature that is missing, or a record that was altered."
            }
            Self::NotCommitted => {
                "The database has not confirmed the request. Retry with the same key: it takes effect \
                 once, or its response is there."
            }
            Self::TooManyInFlight => {
                "The caller is at the limit that `limit` names. Nothing was executed. Retry later with \
                 the same key; requests that were answered before still get their response."
            }
            Self::StoreUnavailable => "Nothing was executed. Retry later with the same key.",
            Self::Misconfigured => "Nothing was executed. Contact the operator of this service.",
        }
    }
}

/// How problem documents look in one service.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    /// Put before each slug.
    pub(crate) base: String,
    /// The `Link` of `key-missing`.
    pub(crate) documentation: Option<HeaderValue>,
}

/// One problem document on its way.
pub(crate) struct Report<'a> {
    problems: &'a Problems,
    problem: Problem,
    status: StatusCode,
    detail: Option<String>,
    retry_after: Option<Duration>,
    original_status: Option<u16>,
    limit: Option<Limit>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
}

impl Problems {
    pub(crate) const fn report(&self, problem: Problem) -> Report<'_> {
        Report {
            problems: self,
            problem,
            status: problem.status(),
            detail: None,
            retry_after: None,
            original_status: None,
            limit: None,
        }
    }
}

impl Report<'_> {
    pub(crate) const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(crate) const fn original_status(mut self, status: u16) -> Self {
        self.original_status = Some(status);
        self
    }

    pub(crate) const fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl IntoResponse for Report<'_> {
    fn into_response(self) -> Response {
        let document = Document {
            kind: format!("{}{}", self.problems.base, self.problem.slug()),
            title: self.problem.title(),
            status: self.status.as_u16(),
            detail: self.detail.as_deref().unwrap_or(self.problem.advice()),
            retryable: self.problem.retryable(),
            retry_after_ms: self
                .retry_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            original_status: self.original_status,
            limit: self.limit.map(Limit::name),
        };
        // Strings and numbers: there is nothing in it that JSON cannot hold.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            // Whole seconds, and never "at once".
            let seconds = after.as_millis().div_ceil(1000).max(1);
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
            );
        }
        if let (Problem::KeyMissing, Some(link)) = (self.problem, &self.problems.documentation) {
            headers.insert(header::LINK, link.clone());
        }
        response.extensions_mut().insert(self.problem);
        response
    }
}
