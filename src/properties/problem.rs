//! A problem document is JSON with the members that it is promised to have, in a sound answer.

use std::{collections::BTreeSet, time::Duration};

use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use crate::problem::{Problem, Problems};

const ALL: [Problem; 14] = [
    Problem::KeyMissing,
    Problem::KeyInvalid,
    Problem::ScopeUnresolved,
    Problem::PayloadUnusable,
    Problem::PayloadTooLarge,
    Problem::InProgress,
    Problem::KeyReused,
    Problem::OutcomeUnknown,
    Problem::ResponseNotRetained,
    Problem::ExecutionFailed,
    Problem::RecordUnreadable,
    Problem::NotCommitted,
    Problem::StoreUnavailable,
    Problem::Misconfigured,
];

/// `data` says which problem, and is its base, its detail and its numbers.
pub fn problem(data: &[u8]) {
    let which = ALL[usize::from(data.first().copied().unwrap_or(0)) % ALL.len()];
    let number = |from: usize| {
        let bytes = data.iter().skip(from).chain(std::iter::repeat(&0));
        let bytes: Vec<u8> = bytes.take(8).copied().collect();
        u64::from_le_bytes(bytes.try_into().unwrap())
    };
    let text = String::from_utf8_lossy(data);
    let problems = Problems {
        base: text.clone().into_owned(),
        documentation: HeaderValue::from_bytes(data).ok(),
    };
    let status = u16::from_le_bytes(number(9).to_le_bytes()[..2].try_into().unwrap());
    let report = problems
        .report(which)
        .detail(text.clone())
        .retry_after(Duration::new(number(1), 999_999_999))
        .original_status(status);
    let (members, answer) = sound(report.into_response());
    assert_eq!(members["type"], format!("{text}{}", which.slug()));
    assert_eq!(members["detail"], *text);
    assert_eq!(members["original_status"], status);
    assert_eq!(answer.extensions().get(), Some(&which));
    let seconds: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(seconds >= 1);
}

/// The document of an answer of idem's own.
pub(super) fn sound(answer: Response) -> (Value, Response) {
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX);
    let body = body.now_or_never().expect("it is there").unwrap();
    let document: Value = serde_json::from_slice(&body).expect("it is JSON");
    let members: BTreeSet<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let always = ["type", "title", "status", "detail", "retryable"];
    assert!(
        always.iter().all(|member| members.contains(member)),
        "{document}"
    );
    let known = [&always[..], &["retry_after_ms", "original_status"]].concat();
    assert!(
        members.iter().all(|member| known.contains(member)),
        "{document}"
    );
    assert_eq!(document["status"], parts.status.as_u16());
    assert_eq!(parts.headers["content-type"], "application/problem+json");
    assert_eq!(parts.headers["cache-control"], "no-store");
    let marks = [
        "content-type",
        "cache-control",
        "retry-after",
        "link",
        "content-length",
        "idempotent-replayed",
        "idempotency-expired",
    ];
    assert!(
        parts
            .headers
            .keys()
            .all(|name| marks.contains(&name.as_str()))
    );
    let is_ours = parts.status.is_client_error() || parts.status.is_server_error();
    assert!(is_ours && parts.status != StatusCode::NOT_FOUND);
    (document, Response::from_parts(parts, body.into()))
}
