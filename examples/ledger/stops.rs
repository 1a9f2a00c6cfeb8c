//! Where this process stops, for whoever wants to kill it there (idem's own tests do).
//!
//! With `LEDGER_STOPS=yes` the header `Stop-At` names a point: `claimed`, `noted`,
//! `debited`, `credited`, `entered` (in the handler), `answered` (after the commit, before the
//! client has the answer). There the process sends itself a SIGSTOP: go on with `kill -CONT`, or
//! see what `kill -9` leaves. For Linux.

use std::process::Command;

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, request::Parts},
    middleware::Next,
    response::Response,
};

#[derive(Debug, Clone)]
pub(crate) struct Stops(Option<String>);

impl Stops {
    fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get("stop-at").and_then(|point| point.to_str().ok());
        let may = std::env::var_os("LEDGER_STOPS").is_some_and(|may| may == "yes");
        Self(asked.filter(|_| may).map(str::to_owned))
    }

    pub(crate) fn at(&self, point: &str) {
        if self.0.as_deref() == Some(point) {
            // The signal may reach another thread first, and this one would go on meanwhile: it
            // waits for a shell that waits until all of them are stopped.
            let stop = "kill -STOP $PPID; while grep -q '^State:.[^TZX]' /proc/$PPID/status 2>/dev/null; do :; done";
            let stopped = Command::new("sh").args(["-c", stop]).status();
            assert!(
                stopped.is_ok_and(|status| status.success()),
                "this is for Linux"
            );
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Stops {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

pub(crate) async fn answered(request: Request, next: Next) -> Response {
    let stops = Stops::of(request.headers());
    let response = next.run(request).await;
    stops.at("answered");
    response
}
