//! The places of those of a handler's arguments that come with the claim.

use std::{convert::Infallible, fmt, marker::PhantomData};

use axum::extract::FromRequestParts;
use http::request::Parts;

/// Stands where the handler takes its transaction, its steps or its lease. Nothing
/// is extracted: there is none before the claim is won.
#[doc(hidden)]
pub struct WithClaim<T>(PhantomData<fn() -> T>);

impl<S: Sync, T> FromRequestParts<S> for WithClaim<T> {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(PhantomData))
    }
}

impl<T> fmt::Debug for WithClaim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithClaim")
    }
}
