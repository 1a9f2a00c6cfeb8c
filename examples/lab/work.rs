//! Handlers that write a journal of what they do, for whoever wants to prove afterwards that no key
//! had two effects (`tests/proof` does).
//!
//! | route | what is special |
//! | --- | --- |
//! | `/work` | nothing |
//! | `/work-wait` | duplicates wait for the first; fails its first attempts, if told to |
//! | `/work-refuse` | nobody takes over from a crash |
//! | `/work-steps` | has its effects in steps |
//! | `/work-brief` | its records are gone after two seconds |

use std::{io, time::Duration};

use axum::{
    Json, Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use idem_axum::{Lease, StepError, Steps, idempotent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::{Lab, caller::bearer, journal::Journal};

pub(crate) fn routes() -> Router<Lab> {
    Router::new()
        .route("/work", post(work))
        .route("/work-wait", post(work_wait))
        .route("/work-refuse", post(work_refuse))
        .route("/work-steps", post(work_steps))
        .route("/work-brief", post(work_brief))
        .route("/diagnostics", get(diagnostics))
}

/// What a client wants done. All of it is the payload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    /// Comes back in the answer.
    payload: String,
    /// How long it takes until the effect.
    before_ms: u32,
    /// And from there to the answer.
    after_ms: u32,
    /// Up to this attempt it fails, where the attempt is known.
    #[serde(default)]
    fails: u32,
    /// How many steps it has, where it has any.
    #[serde(default)]
    steps: u32,
    /// How many bytes of padding its answer has.
    #[serde(default)]
    padding: u16,
}

/// Whose key it is, and under which number the client remembers this request.
#[derive(Debug, Clone, Serialize)]
struct Asker {
    user: String,
    key: String,
    call: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let user = bearer(&parts.headers).ok_or(StatusCode::UNAUTHORIZED)?;
        let key = parts.headers.get("idempotency-key");
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
        let call = parts.headers.get("call");
        Ok(Self {
            user,
            key: key.to_owned(),
            call: call.and_then(|call| call.to_str().ok()?.parse().ok()),
        })
    }
}

/// One execution of a handler.
#[derive(Debug, Clone, Serialize)]
struct Run {
    /// No other execution's.
    run: String,
    route: &'static str,
    #[serde(flatten)]
    asker: Asker,
    payload: String,
    attempt: Option<u32>,
    #[serde(skip)]
    journal: Journal,
}

#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written")]
struct Unwritable(#[from] io::Error);

impl IntoResponse for Unwritable {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl Run {
    fn begin(
        journal: &Journal,
        route: &'static str,
        asker: Asker,
        task: &Task,
        attempt: Option<u32>,
    ) -> Result<Self, Unwritable> {
        let run = Self {
            run: format!("{:016x}", rand::random::<u64>()),
            route,
            asker,
            payload: task.payload.clone(),
            attempt,
            journal: journal.clone(),
        };
        run.journal.note("begin", &run)?;
        Ok(run)
    }

    fn note_with(&self, event: &str, more: &[(&str, &str)]) -> Result<(), Unwritable> {
        let mut about = json!({ "run": self.run });
        for (name, value) in more {
            about[name] = (*value).into();
        }
        Ok(self.journal.note(event, about)?)
    }

    fn note_step(&self, event: &str, step: &str, result: &str) -> Result<(), Unwritable> {
        self.note_with(event, &[("step", step), ("result", result)])
    }

    /// Everything from the effect on.
    async fn perform(self, task: &Task) -> Result<Response, Unwritable> {
        sleep(Duration::from_millis(task.before_ms.into())).await;
        self.note_with("effect", &[])?;
        sleep(Duration::from_millis(task.after_ms.into())).await;
        if self.attempt.is_some_and(|attempt| attempt <= task.fails) {
            let answer = format!("run {} fails as told", self.run);
            self.note_with("failed", &[("answer", &answer)])?;
            return Ok((StatusCode::BAD_GATEWAY, answer).into_response());
        }
        self.answer(task, &[])
    }

    fn answer(self, task: &Task, steps: &[String]) -> Result<Response, Unwritable> {
        let answer = json!({
            "run": self.run, "user": self.asker.user, "key": self.asker.key,
            "payload": self.payload, "steps": steps, "padding": "x".repeat(task.padding.into()),
        });
        let answer = answer.to_string();
        self.note_with("end", &[("answer", &answer)])?;
        Ok((StatusCode::CREATED, answer).into_response())
    }
}

#[idempotent(ttl = "24h", scope = "user")]
async fn work(
    State(journal): State<Journal>,
    asker: Asker,
    Json(task): Json<Task>,
) -> Result<Response, Unwritable> {
    let run = Run::begin(&journal, "work", asker, &task, None)?;
    run.perform(&task).await
}

#[idempotent(ttl = "24h", scope = "user", wait = "2s")]
async fn work_wait(
    State(journal): State<Journal>,
    lease: Lease,
    asker: Asker,
    Json(task): Json<Task>,
) -> Result<Response, Unwritable> {
    let attempt = Some(lease.attempt());
    let run = Run::begin(&journal, "work-wait", asker, &task, attempt)?;
    run.perform(&task).await
}

#[idempotent(ttl = "24h", scope = "user", on_crash = "refuse")]
async fn work_refuse(
    State(journal): State<Journal>,
    asker: Asker,
    Json(task): Json<Task>,
) -> Result<Response, Unwritable> {
    let run = Run::begin(&journal, "work-refuse", asker, &task, None)?;
    run.perform(&task).await
}

#[idempotent(ttl = "2s", grace = "1s", lease = "1s", scope = "user")]
async fn work_brief(
    State(journal): State<Journal>,
    asker: Asker,
    Json(task): Json<Task>,
) -> Result<Response, Unwritable> {
    let run = Run::begin(&journal, "work-brief", asker, &task, None)?;
    run.perform(&task).await
}

#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Journal(#[from] Unwritable),
    #[error("a step could not be kept")]
    Step(#[from] StepError<Unwritable>),
}

impl IntoResponse for WorkError {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, self.to_string()).into_response()
    }
}

#[idempotent(ttl = "24h", scope = "user")]
async fn work_steps(
    State(journal): State<Journal>,
    steps: Steps,
    asker: Asker,
    Json(task): Json<Task>,
) -> Result<Response, WorkError> {
    let run = Run::begin(&journal, "work-steps", asker, &task, Some(steps.attempt()))?;
    let mut results = Vec::new();
    for number in 0..task.steps {
        let name = format!("step-{number}");
        let ran = steps.run(&name, || async {
            let result = format!("{:016x}", rand::random::<u64>());
            run.note_step("step", &name, &result)?;
            sleep(Duration::from_millis(task.before_ms.into())).await;
            Ok::<_, Unwritable>(result)
        });
        match ran.await {
            Ok(result) => {
                run.note_step("kept", &name, &result)?;
                results.push(result);
            }
            Err(error) => {
                run.note_with("stopped", &[])?;
                return Err(error.into());
            }
        }
    }
    sleep(Duration::from_millis(task.after_ms.into())).await;
    Ok(run.answer(&task, &results)?)
}

/// What should not grow while the lab runs.
async fn diagnostics() -> Json<serde_json::Value> {
    let runtime = tokio::runtime::Handle::current();
    Json(json!({ "tasks": runtime.metrics().num_alive_tasks() }))
}
