//! What an OpenAPI document says of an idempotent handler (feature `utoipa`).
//!
//! A `#[utoipa::path]` *below* `#[idempotent]` is told of the key's header and
//! of idem's own answers; what it says itself of a status comes first:
//!
//! ```
//! use axum::Json;
//! use idem_axum::idempotent;
//! use utoipa::OpenApi;
//! # #[derive(serde::Serialize, serde::Deserialize, utoipa::ToSchema)] struct Payment { amount: u64 }
//!
//! #[idempotent(ttl = "24h", scope = "user")]
//! #[utoipa::path(post, path = "/payments", responses((status = OK, body = Payment)))]
//! async fn pay(Json(payment): Json<Payment>) -> Json<Payment> {
//!     Json(payment)
//! }
//!
//! #[derive(OpenApi)]
//! #[openapi(paths(pay))]
//! struct Document;
//!
//! let document = serde_json::to_value(Document::openapi())?;
//! let post = &document["paths"]["/payments"]["post"];
//! assert_eq!(post["parameters"][0]["name"], "Idempotency-Key");
//! assert!(post["responses"]["409"]["content"]["application/problem+json"].is_object());
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Under a runtime with [`Profile::Ietf`] say `profile = "ietf"` at the handler
//! too: the attribute does not know the runtime.
//!
//! One *above* has been expanded before ours sees it. There, say it by hand:
//! `params(idem_axum::openapi::KeyHeader)` and
//! `responses(idem_axum::openapi::Problems)`.

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::{
    IntoParams, IntoResponses,
    openapi::{
        Content, HeaderBuilder, ObjectBuilder, RefOr, Required, Response, ResponseBuilder, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use crate::{Problem, Profile};

/// The header `Idempotency-Key`, which a handler requires.
#[derive(Debug, Clone, Copy)]
pub struct KeyHeader;

impl IntoParams for KeyHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(255));
        let header = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(
                "Unique to this request, such as a UUID, and the same with every retry of it: \
                 a retry gets the answer of the first.",
            ))
            .schema(Some(schema));
        vec![header.build()]
    }
}

/// idem's own answers under [`Profile::Conflict`].
#[derive(Debug, Clone, Copy)]
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(Profile::Conflict)
    }
}

/// idem's own answers under [`Profile::Ietf`]: 422 for a reused key.
#[derive(Debug, Clone, Copy)]
pub struct IetfProblems;

impl IntoResponses for IetfProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(Profile::Ietf)
    }
}

/// What a client can do something about, see [`Problem`].
const DOCUMENTED: [Problem; 9] = [
    Problem::KeyMissing,
    Problem::KeyInvalid,
    Problem::PayloadUnusable,
    Problem::InProgress,
    Problem::KeyReused,
    Problem::OutcomeUnknown,
    Problem::ResponseNotRetained,
    Problem::TooManyInFlight,
    Problem::StoreUnavailable,
];

fn responses(profile: Profile) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::new();
    for problem in DOCUMENTED {
        let status = match problem {
            Problem::KeyReused => profile.key_reused(),
            other => other.status(),
        };
        by_status.entry(status.as_u16()).or_default().push(problem);
    }
    by_status
        .into_iter()
        .map(|(status, problems)| (status.to_string(), response(status, &problems).into()))
        .collect()
}

fn response(status: u16, problems: &[Problem]) -> Response {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("`{}`: {}.", problem.slug(), problem.title()))
        .collect();
    let response = ResponseBuilder::new()
        .description(lines.join(" "))
        .content("application/problem+json", Content::new(Some(document())));
    // Where a retry of the same request may help.
    let retried = [
        StatusCode::CONFLICT.as_u16(),
        StatusCode::TOO_MANY_REQUESTS.as_u16(),
        StatusCode::SERVICE_UNAVAILABLE.as_u16(),
    ];
    if !retried.contains(&status) {
        return response.build();
    }
    response
        .header(
            "Retry-After",
            HeaderBuilder::new()
                .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
                .description(Some("In seconds; there if `retryable`."))
                .build(),
        )
        .build()
}

/// RFC 9457, with idem's members.
fn document() -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let number = || ObjectBuilder::new().schema_type(Type::Integer);
    ObjectBuilder::new()
        .property("type", text())
        .required("type")
        .property("title", text())
        .required("title")
        .property("status", number())
        .required("status")
        .property("detail", text())
        .required("detail")
        .property("retryable", ObjectBuilder::new().schema_type(Type::Boolean))
        .required("retryable")
        .property("retry_after_ms", number())
        .property("original_status", number())
        .property("limit", text())
}
