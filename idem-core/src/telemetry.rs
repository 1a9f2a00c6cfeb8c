//! What the runtime tells: spans and events through `tracing`, numbers through
//! `metrics` (feature `metrics`; without it these functions do nothing).

use tokio::time::Instant;
use tracing::Span;

use crate::{
    Call, Execution, Limit, Operation, Runtime, Slot, StoreError, Stored, record::OpenError,
};

/// A verb of the store, as a label.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Claim,
    Renew,
    Checkpoint,
    Complete,
    Release,
    Inspect,
    List,
    Resolve,
    Health,
    Spend,
    Begin,
    Conclude,
}

impl Verb {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Checkpoint => "checkpoint",
            Self::Complete => "complete",
            Self::Release => "release",
            Self::Inspect => "inspect",
            Self::List => "list",
            Self::Resolve => "resolve",
            Self::Health => "health",
            Self::Spend => "spend",
            Self::Begin => "begin",
            Self::Conclude => "conclude",
        }
    }
}

/// How a heartbeat went.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Beat {
    Renewed,
    Fenced,
    Failed,
}

/// The span of one protected call. Neither key nor body is in it. While a secret is
/// rotated, the slot may be stored as `alias`.
pub(crate) fn span(call: &Call, alias: Option<Slot>) -> Span {
    tracing::info_span!(
        "idempotent",
        operation = call.operation.as_str(),
        slot = %call.slot.short(),
        alias = alias.map(|alias| tracing::field::display(alias.short())),
        attempt = tracing::field::Empty,
        outcome = tracing::field::Empty,
    )
}

/// The call was answered under the name that it stands under.
pub(crate) fn answered(span: &Span, call: &Call) {
    if call.alias == Some(call.slot) {
        span.record("slot", tracing::field::display(call.slot.short()));
        count("idem_alias_total", call);
    }
}

/// The store was not asked.
pub(crate) fn replayed_from_cache(call: &Call) {
    count("idem_cached_replays_total", call);
}

/// `span` is the call's own: where it is off, the current one is somebody else's.
pub(crate) fn claimed(span: &Span, call: &Call, attempt: u32, taken_over: bool) {
    span.record("attempt", attempt);
    if taken_over {
        tracing::warn!(
            operation = call.operation.as_str(),
            attempt,
            "took over from an execution that fell silent"
        );
        count("idem_takeovers_total", call);
    }
}

pub(crate) fn fenced(call: &Call) {
    tracing::error!(
        operation = call.operation.as_str(),
        "fenced: another execution took over before this one was recorded"
    );
    count("idem_fenced_total", call);
}

pub(crate) fn failed_open(call: &Call) {
    count("idem_fail_open_total", call);
}

/// The key's name is what the record says: no label, because whoever writes to the
/// store could make any number of them.
pub(crate) fn unopened(call: &Call, error: &OpenError) {
    tracing::error!(
        operation = call.operation.as_str(),
        slot = %call.slot.short(),
        key = error.key().map(tracing::field::display),
        %error,
        "what is kept of a request does not open: it is not answered, and nothing runs in its place"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!(
        "idem_unopened_total",
        "operation" => call.operation.label(),
        "reason" => error.reason.name()
    )
    .increment(1);
}

pub(crate) fn finished<A>(span: &Span, operation: &Operation, execution: &Execution<A>) {
    let outcome = outcome(execution);
    span.record("outcome", outcome);
    ended(operation, outcome);
}

fn ended(operation: &Operation, outcome: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(
        "idem_requests_total",
        "operation" => operation.label(),
        "outcome" => outcome
    )
    .increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (operation, outcome);
}

/// Why a call was refused before there was anything to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no key and one is required.
    KeyMissing,
    /// The key cannot be used.
    KeyInvalid,
    /// It is not known whose key it is.
    ScopeUnresolved,
    /// The payload cannot be fingerprinted.
    PayloadUnusable,
}

impl Refusal {
    const fn name(self) -> &'static str {
        match self {
            Self::KeyMissing => "key_missing",
            Self::KeyInvalid => "key_invalid",
            Self::ScopeUnresolved => "scope_unresolved",
            Self::PayloadUnusable => "payload_unusable",
        }
    }
}

impl Runtime {
    /// Notes a call that the caller of this runtime refused, so that it is
    /// counted beside the others.
    pub fn refuse(&self, operation: &Operation, refusal: Refusal) {
        tracing::debug!(%operation, outcome = refusal.name(), "refused");
        ended(operation, refusal.name());
    }
}

const fn outcome<A>(execution: &Execution<A>) -> &'static str {
    match execution {
        Execution::Ran { stored, .. } => match stored {
            Stored::Recorded => "executed",
            Stored::Released => "released",
            Stored::Pending => "pending",
            Stored::Lost => "lost",
        },
        Execution::Unprotected { .. } => "unprotected",
        Execution::Replayed(replay) if replay.expired => "replayed_expired",
        Execution::Replayed(_) => "replayed",
        Execution::InProgress { .. } => "in_progress",
        Execution::KeyReused => "key_reused",
        Execution::OutcomeUnknown => "outcome_unknown",
        Execution::Panicked => "panicked",
        Execution::NotCommitted(_) => "not_committed",
        Execution::Stopped(_) => "stopped",
        Execution::Limited {
            limit: Limit::LiveClaims,
            ..
        } => "limited_live_claims",
        Execution::Limited {
            limit: Limit::StoredBytes,
            ..
        } => "limited_stored_bytes",
        Execution::StoreFailed(StoreError::Unopened { .. }) => "unopened",
        Execution::StoreFailed(_) => "store_failed",
    }
}

/// A try of a verb that began at `since`.
pub(crate) fn store_answered(verb: Verb, since: Instant, ok: bool) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(
        "idem_store_duration_seconds",
        "verb" => verb.name(),
        "result" => if ok { "ok" } else { "error" }
    )
    .record(since.elapsed());
    #[cfg(not(feature = "metrics"))]
    let _ = (verb, since, ok);
}

pub(crate) fn heartbeat(beat: Beat) {
    #[cfg(feature = "metrics")]
    metrics::counter!(
        "idem_heartbeats_total",
        "result" => match beat {
            Beat::Renewed => "renewed",
            Beat::Fenced => "fenced",
            Beat::Failed => "failed",
        }
    )
    .increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = beat;
}

fn count(name: &'static str, call: &Call) {
    #[cfg(feature = "metrics")]
    metrics::counter!(name, "operation" => call.operation.label()).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (name, call);
}

/// Counts a call as in flight for as long as it lives.
pub(crate) struct InFlight {
    #[cfg(feature = "metrics")]
    gauge: metrics::Gauge,
}

impl InFlight {
    pub(crate) fn start(operation: &Operation) -> Self {
        #[cfg(feature = "metrics")]
        {
            let gauge = metrics::gauge!("idem_in_flight", "operation" => operation.label());
            gauge.increment(1);
            Self { gauge }
        }
        #[cfg(not(feature = "metrics"))]
        {
            let _ = operation;
            Self {}
        }
    }
}

#[cfg(feature = "metrics")]
impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}
