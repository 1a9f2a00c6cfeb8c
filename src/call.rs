//! One request at an annotated handler, from its entry to its answer.

use std::{fmt, sync::Arc};

use axum::response::Response;
use futures_util::future::BoxFuture;
use idem_core::{
    FingerprintBuilder, FingerprintError, IdempotencyKey, KeyError, Operation, Refusal, Scope,
    Steps, TransactionHandle,
};

use crate::{
    body::Feed,
    check::{FingerprintValue, KeyValue, ScopeValue},
    plan::{KeyPlan, Plan, ScopePlan},
    problem::Problem,
    respond::{Answering, InSteps, Kept},
    state::Idempotency,
};

/// What is known of a request so far. The expansion of the attribute adds what
/// only the handler's arguments can tell, and runs it.
#[doc(hidden)]
pub struct Call {
    idempotency: Idempotency,
    plan: Arc<Plan>,
    operation: Operation,
    key: Option<IdempotencyKey>,
    scope: Option<Scope>,
    fingerprint: FingerprintBuilder,
    /// The first thing that is wrong with it: it is answered and not run.
    refused: Option<(Refusal, Problem, Option<String>)>,
}

impl Call {
    pub(crate) const fn new(
        idempotency: Idempotency,
        plan: Arc<Plan>,
        operation: Operation,
        key: Option<IdempotencyKey>,
        scope: Option<Scope>,
        fingerprint: FingerprintBuilder,
    ) -> Self {
        Self {
            idempotency,
            plan,
            operation,
            key,
            scope,
            fingerprint,
            refused: None,
        }
    }

    /// `scope = <expression>`
    pub fn scope(&mut self, value: &impl ScopeValue) {
        if !self.is_protected() {
            return;
        }
        match Scope::new("expression", value.scope()) {
            Ok(scope) => self.scope = Some(scope),
            Err(_) => self.refuse(Refusal::ScopeUnresolved, Problem::ScopeUnresolved, None),
        }
    }

    /// `key = <expression>`
    pub fn key(&mut self, value: &impl KeyValue) {
        match IdempotencyKey::new(value.key()) {
            Ok(key) => self.key = Some(key),
            Err(error @ KeyError::Empty) => self.refuse(
                Refusal::KeyMissing,
                Problem::KeyInvalid,
                Some(error.to_string()),
            ),
            Err(error) => self.refuse(
                Refusal::KeyInvalid,
                Problem::KeyInvalid,
                Some(error.to_string()),
            ),
        }
    }

    /// The handler's last argument.
    pub fn body(&mut self, body: &impl Feed) {
        if self.is_protected() {
            let fed = body.feed(&mut self.fingerprint);
            self.fed(fed);
        }
    }

    /// `fingerprint = <expression>`
    pub fn fingerprint(&mut self, payload: &impl FingerprintValue) {
        if self.is_protected() {
            let fed = self.fingerprint.typed(payload.value()).map(|_| ());
            self.fed(fed);
        }
    }

    /// The bytes of a body that no handler argument stands for.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if self.is_protected() {
            self.fingerprint.raw(bytes);
        }
    }

    /// Runs the handler's body once for the key, or answers from the record.
    ///
    /// Everything outside the boxes is compiled once, and not for each handler.
    pub fn run(
        self,
        work: impl Future<Output = Response> + Send + 'static,
    ) -> impl Future<Output = Response> + Send {
        let (answering, ready) = self.ready();
        let work = match ready {
            Ready::Protected(call) => {
                let keeper = answering.keeper();
                let kept = async move { keeper.keep(work.await).await };
                Work::Protected(call, Box::pin(kept))
            }
            Ready::Unprotected => Work::Unprotected(Box::pin(work)),
            Ready::Refused(refusal) => Work::Refused(refusal),
        };
        work.run(answering)
    }

    /// Runs the handler's body once for the key, with its recovery points.
    pub async fn run_in_steps<F, W>(self, work: F) -> Response
    where
        F: FnOnce(Steps) -> W + Send + 'static,
        W: Future<Output = Response> + Send + 'static,
    {
        let work: InSteps = Box::new(move |steps| Box::pin(work(steps)));
        let (answering, ready) = self.ready();
        match ready {
            Ready::Protected(call) => answering.run_in_steps(call, work).await,
            Ready::Unprotected => work(Steps::unprotected()).await,
            Ready::Refused(refusal) => refusal,
        }
    }

    /// Runs the handler's body once for the key, with its recovery points and in a
    /// transaction of the store's database in which the record commits.
    pub async fn transact_in_steps<H, F, W>(self, work: F) -> Response
    where
        H: TransactionHandle,
        F: FnOnce(H, Steps) -> W + Send + 'static,
        W: Future<Output = Response> + Send + 'static,
    {
        let (answering, ready) = self.with_any_key().ready();
        match ready {
            Ready::Protected(call) => {
                let keeper = answering.keeper();
                let work = move |transaction, steps| keeper.worked(work(transaction, steps));
                let runtime = answering.runtime();
                answering.answer(runtime.execute_in_steps_and(call, work).await)
            }
            Ready::Unprotected => answering.problem(Problem::Misconfigured, None),
            Ready::Refused(refusal) => refusal,
        }
    }

    /// [`transact_in_steps`](Self::transact_in_steps), and again if the transaction
    /// gave way to another.
    pub async fn transact_in_steps_retrying<H, F, W>(self, mut work: F) -> Response
    where
        H: TransactionHandle,
        F: FnMut(H, Steps) -> W + Send + 'static,
        W: Future<Output = Response> + Send + 'static,
    {
        let retries = self.plan.retries;
        let (answering, ready) = self.with_any_key().ready();
        match ready {
            Ready::Protected(call) => {
                let keeper = answering.keeper();
                let work = move |transaction, steps| {
                    let keeper = keeper.clone();
                    keeper.worked(work(transaction, steps))
                };
                let runtime = answering.runtime();
                let execution = runtime.execute_in_steps_and_retrying(call, retries, work);
                answering.answer(execution.await)
            }
            Ready::Unprotected => answering.problem(Problem::Misconfigured, None),
            Ready::Refused(refusal) => refusal,
        }
    }

    /// Runs the handler's body once for the key, in a transaction of the store's
    /// database in which the record commits too.
    pub async fn transact<H, F, W>(self, work: F) -> Response
    where
        H: TransactionHandle,
        F: FnOnce(H) -> W + Send + 'static,
        W: Future<Output = Response> + Send + 'static,
    {
        let (answering, ready) = self.with_any_key().ready();
        match ready {
            Ready::Protected(call) => {
                let keeper = answering.keeper();
                let work = move |transaction| keeper.worked(work(transaction));
                answering.answer(answering.runtime().execute_in(call, work).await)
            }
            Ready::Unprotected => answering.problem(Problem::Misconfigured, None),
            Ready::Refused(refusal) => refusal,
        }
    }

    /// [`transact`](Self::transact), and again if the transaction gave way to another.
    pub async fn transact_retrying<H, F, W>(self, mut work: F) -> Response
    where
        H: TransactionHandle,
        F: FnMut(H) -> W + Send + 'static,
        W: Future<Output = Response> + Send + 'static,
    {
        let retries = self.plan.retries;
        let (answering, ready) = self.with_any_key().ready();
        match ready {
            Ready::Protected(call) => {
                let keeper = answering.keeper();
                let work = move |transaction| keeper.clone().worked(work(transaction));
                let runtime = answering.runtime();
                answering.answer(runtime.execute_in_retrying(call, retries, work).await)
            }
            Ready::Unprotected => answering.problem(Problem::Misconfigured, None),
            Ready::Refused(refusal) => refusal,
        }
    }

    /// Where the key is optional and absent, too, the handler has its transaction:
    /// under a key that nobody has.
    fn with_any_key(mut self) -> Self {
        if self.key.is_none() && self.plan.key_optional {
            self.key = Some(IdempotencyKey::random());
            self.scope = Some(Scope::GLOBAL);
        }
        self
    }

    /// What is to be done with it, and who answers it.
    fn ready(self) -> (Answering, Ready) {
        let answering = Answering::new(self.idempotency, self.plan);
        let ready = match (self.refused, self.key, self.scope) {
            (Some((refusal, problem, detail)), ..) => {
                answering.runtime().refuse(&self.operation, refusal);
                Ready::Refused(answering.problem(problem, detail))
            }
            (None, Some(key), Some(scope)) => Ready::Protected(answering.runtime().call(
                self.operation,
                &scope,
                &key,
                self.fingerprint.finish(),
                answering.plan().settings,
            )),
            (None, None, _) if answering.plan().key_optional => Ready::Unprotected,
            // The expansion sets what the plan leaves to expressions.
            (None, ..) => {
                tracing::error!(operation = %self.operation, "the handler set no key or no scope");
                Ready::Refused(answering.problem(Problem::Misconfigured, None))
            }
        };
        (answering, ready)
    }

    fn is_protected(&self) -> bool {
        self.key.is_some() || matches!(self.plan.key, KeyPlan::Expression)
    }

    fn fed(&mut self, fed: Result<(), FingerprintError>) {
        if let Err(error) = fed {
            self.refuse(
                Refusal::PayloadUnusable,
                Problem::PayloadUnusable,
                Some(error.to_string()),
            );
        }
    }

    fn refuse(&mut self, refusal: Refusal, problem: Problem, detail: Option<String>) {
        self.refused.get_or_insert((refusal, problem, detail));
    }
}

/// What is to be done with a request, of which everything is known.
enum Ready {
    Protected(idem_core::Call),
    /// There is no key, and none is required.
    Unprotected,
    /// The answer to one that cannot be served.
    Refused(Response),
}

/// A request with the work that is its own, if it is to be run at all.
enum Work {
    Protected(idem_core::Call, Kept),
    Unprotected(BoxFuture<'static, Response>),
    Refused(Response),
}

impl Work {
    async fn run(self, answering: Answering) -> Response {
        match self {
            Self::Protected(call, work) => answering.run(call, work).await,
            Self::Unprotected(work) => work.await,
            Self::Refused(refusal) => refusal,
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation)
            .field(
                "scope_from_expression",
                &matches!(self.plan.scope, ScopePlan::Expression),
            )
            .finish_non_exhaustive()
    }
}
