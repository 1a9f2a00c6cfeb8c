//! Arguments that are extracted only after the claim is won.

use std::{fmt, sync::Arc};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::request::Parts;

use crate::Outcome;

/// An argument marked `#[deferred]`: nothing is extracted until
/// [`extract`](Self::extract), which happens after the claim is won.
#[doc(hidden)]
pub struct Deferred<T>(Arc<Extract<T>>);

type Extract<T> = dyn Fn() -> BoxFuture<'static, Result<T, Response>> + Send + Sync;

impl<T> Deferred<T> {
    /// Its rejection is never recorded: the handler has not run.
    pub async fn extract(this: Self) -> Result<T, Response> {
        (this.0)().await.map_err(|mut rejection| {
            rejection.extensions_mut().insert(Outcome::Release);
            rejection
        })
    }

    /// The same once more: each run of the handler extracts its own.
    pub fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, T> FromRequestParts<S> for Deferred<T>
where
    S: Clone + Send + Sync + 'static,
    T: FromRequestParts<S> + 'static,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Self, std::convert::Infallible> {
        let parts = parts.clone();
        let state = state.clone();
        Ok(Self(Arc::new(move || {
            let (mut parts, state) = (parts.clone(), state.clone());
            Box::pin(async move {
                T::from_request_parts(&mut parts, &state)
                    .await
                    .map_err(IntoResponse::into_response)
            })
        })))
    }
}

impl<T> fmt::Debug for Deferred<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}
