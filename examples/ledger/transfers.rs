//! What is asked for and what is answered.

use std::io;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use idem_axum::StepError;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    pub(crate) to: String,
    /// In cents.
    pub(crate) amount: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    pub(crate) transfer: i64,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) amount: i64,
}

/// What the books prove.
#[derive(Debug, Serialize)]
pub(crate) struct Audit {
    pub(crate) transfers: i64,
    /// What all accounts have together: what they were opened with.
    pub(crate) balances: i64,
    /// What all entries come to: nothing, because each transfer has two that cancel out.
    pub(crate) entries: i64,
    /// Accounts whose balance is not what they were opened with and their entries: none.
    pub(crate) wrong: i64,
    pub(crate) balanced: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("the amount must be more than zero, and the payee somebody else")]
    NothingToDo,
    #[error("the balance is too low")]
    TooLow,
    #[error("there is no such account")]
    NoAccount,
    #[error("the other bank cannot be reached")]
    OtherBank(#[from] StepError<io::Error>),
    // `retries` finds a deadlock here.
    #[error("the books cannot be reached")]
    Database(#[from] sqlx::Error),
}

impl IntoResponse for LedgerError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NothingToDo | Self::NoAccount => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLow => StatusCode::PAYMENT_REQUIRED,
            // Not recorded: a retry goes on from there. The debit is rolled back until then.
            Self::OtherBank(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(error) => {
                tracing::error!(%error);
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        (status, self.to_string()).into_response()
    }
}

/// Demo authentication: `Authorization: Bearer NAME` is the owner of the account NAME.
#[derive(Debug, Clone)]
pub(crate) struct User(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let value = parts.headers.get(header::AUTHORIZATION);
        value
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .map(|name| Self(name.to_owned()))
            .ok_or((StatusCode::UNAUTHORIZED, "send Authorization: Bearer NAME"))
    }
}
