//! Where a request stops, for whoever wants to kill the process there (idem's own tests do).
//!
//! With `IDEM_STOPS=yes` the header `Stop-At` names a step and a point of it, such as
//! `charge/done`: `before` (the step has not begun), `within` (it has, and nothing has happened),
//! `done` (it has happened, and its result is not kept). `answer/before` is after all steps. There
//! the request prints `stopped at …`, and waits until the process ends.

use axum::{extract::FromRequestParts, http::request::Parts};

#[derive(Debug, Clone)]
pub(crate) struct Stops(Option<String>);

impl Stops {
    pub(crate) async fn at(&self, step: &str, point: &str) {
        let Some(asked) = &self.0 else {
            return;
        };
        if asked.split_once('/') == Some((step, point)) {
            println!("stopped at {asked}");
            std::future::pending::<()>().await;
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Stops {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let asked = parts.headers.get("stop-at");
        let asked = asked.and_then(|point| point.to_str().ok());
        let may = std::env::var_os("IDEM_STOPS").is_some_and(|may| may == "yes");
        Ok(Self(asked.filter(|_| may).map(str::to_owned)))
    }
}
