//! What a handler takes from a request.

use std::convert::Infallible;

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{request::Parts, StatusCode},
    response::{IntoResponse, Response},
};
use safe::{FingerprintBody, FingerprintBuilder, FingerprintError};

/// Who is asking. It stands in for authentication: here the client is believed.
#[derive(Debug, Clone)]
pub struct User {
    /// Its name.
    pub id: String,
}

impl User {
    /// Whom a request's head names.
    #[must_use]
    pub fn of(parts: &Parts) -> Option<Self> {
        let id = parts.headers.get("x-user")?.to_str().ok()?.to_owned();
        Some(Self { id })
    }
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Self::of(parts).ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// What a handler wants only when it really runs.
#[derive(Debug)]
pub struct Connection(&'static str);

impl Connection {
    /// Changes it, so that its handler binds it as `mut`.
    pub const fn close(&mut self) -> &'static str {
        self.0 = "closed";
        self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Connection {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self("open"))
    }
}

/// A body that axum knows nothing of: lines of text.
#[derive(Debug)]
pub struct Lines(
    /// The lines that say something.
    pub Vec<String>,
);

impl<S: Send + Sync> FromRequest<S> for Lines {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let text = String::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let lines = text.lines().filter(|line| !line.is_empty());
        Ok(Self(lines.map(str::to_owned).collect()))
    }
}

impl FingerprintBody for Lines {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        to.typed(&self.0).map(|_| ())
    }
}
