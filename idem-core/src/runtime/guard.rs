//! What every execution has around it, whichever way it goes.

use std::sync::Arc;

use tracing::{Instrument, Span};

use super::{
    Inner, Runtime,
    names::Named,
    rescue::{Engaged, Rescue},
};
use crate::{
    Call, Execution,
    telemetry::{self, InFlight},
};

impl Runtime {
    /// An execution in its span, which is counted, waited for by
    /// [`drain`](Self::drain), and goes on when its client has gone.
    ///
    /// Compiled once for each type of answer and way to go.
    pub(super) fn guarded<A, F>(
        &self,
        call: Call,
        protect: impl FnOnce(Arc<Inner>, Named, Engaged, Span) -> F + Send + 'static,
    ) -> Rescue<Execution<A>>
    where
        A: Send + 'static,
        F: Future<Output = Execution<A>> + Send + 'static,
    {
        let engaged = Engaged::default();
        let inner = Arc::clone(&self.inner);
        let call = inner.names.of(call);
        let span = telemetry::span(&call, call.alias());
        let carrier = inner.carrier.clone();
        let (engages, outer) = (engaged.clone(), span.clone());
        // What it protects is made where it stays: moved there, it would be copied, and
        // it is large.
        let execution = async move {
            let operation = call.operation.clone();
            let _token = inner.tracker.token();
            let _in_flight = InFlight::start(&operation);
            let execution = protect(inner, call, engages, span.clone()).await;
            telemetry::finished(&span, &operation, &execution);
            execution
        };
        Rescue::new(Box::pin(execution.instrument(outer)), engaged, carrier)
    }
}
