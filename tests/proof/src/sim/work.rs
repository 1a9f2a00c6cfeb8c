//! What is run once: steps with effects, pauses, errors and panics; and its client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Call, Execution, Finish, OnCrash, OnceError, Operation, Overrides, Runtime, StepError, Steps,
    StepsError, Stored,
};
use tokio::{sync::Notify, time::sleep};

use super::{
    node::{Inside, Tagged},
    plan::{Kind, ms},
    world::{OPERATION, key_text, names, scope_of},
};
use crate::history::{Answer, CallId, End, PayloadId, Place, Rules, RunId, What};

/// One request, on its node.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) call: CallId,
    pub(super) place: Place,
    pub(super) payload: PayloadId,
    pub(super) kind: Kind,
    pub(super) rules: Rules,
    pub(super) wait: Duration,
    /// After how many polls the client leaves, if it leaves like that.
    pub(super) polls: Option<u32>,
}

/// How many steps the work of a key has, the same in each attempt.
pub(super) const fn steps_of(place: Place) -> u32 {
    (place.key + place.scope) % 4
}

/// The longest pause of the work, in milliseconds.
pub(super) const LONGEST: u64 = 90;

/// An error of the work's own.
#[derive(Debug)]
struct Declined;

/// Serves a request until it is answered or its client has left.
pub(super) async fn serve(inside: Inside, runtime: Runtime, job: Job, left: Arc<Notify>) {
    let call = job.call;
    let home = inside.clone();
    let polls = job.polls;
    let asked = Box::pin(ask(inside, runtime, job));
    let asked = Impatient {
        future: Tagged::new(call, asked),
        polls,
    };
    let answer = tokio::select! {
        biased;
        answer = asked => answer,
        () = left.notified() => None,
    };
    let now = home.now();
    home.world.lock().over.push((call, now, answer));
    home.tell();
}

/// Leaves after so many polls.
struct Impatient<T> {
    future: Tagged<T>,
    polls: Option<u32>,
}

impl<T> Future for Impatient<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        if let Some(polls) = &mut this.polls {
            if *polls == 0 {
                return Poll::Ready(None);
            }
            *polls -= 1;
        }
        match Pin::new(&mut this.future).poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if this.polls == Some(0) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

async fn ask(inside: Inside, runtime: Runtime, job: Job) -> Answer {
    let overrides = Overrides {
        wait: Some(job.wait),
        on_crash: job.rules.refuse.then_some(OnCrash::Refuse),
        ..Overrides::NONE
    };
    if job.kind == Kind::Once {
        let scope = scope_of(job.place);
        let work = {
            let (inside, job) = (inside.clone(), job.clone());
            || async move {
                match Run::begin(&inside, &job, None).plain().await {
                    Finish::Record { answer, .. } => Ok(answer),
                    Finish::Release { answer } => Err(answer),
                }
            }
        };
        let key = key_text(job.place);
        let asked = runtime.once_with(&overrides, OPERATION, &scope, &key, &job.payload, work);
        return match asked.await {
            Ok(once) if once.replayed => Answer::Replayed {
                body: once.value,
                expired: false,
            },
            Ok(once) if once.stored => Answer::Fresh { body: once.value },
            Ok(once) => Answer::NotStored { body: once.value },
            Err(error) => failed(error),
        };
    }
    let (slot, fingerprint) =
        names(|names| (names.slot(job.place), names.fingerprint(job.payload)));
    let settings = runtime.settings_for(&overrides).unwrap();
    let call = Call::at(Operation::new(OPERATION), slot, fingerprint, settings);
    let kind = job.kind;
    let execution = if kind == Kind::Steps {
        let work = move |steps: Steps| async move {
            let run = Run::begin(&inside, &job, Some(&steps));
            run.in_steps(steps).await
        };
        runtime.execute_in_steps(call, work).await
    } else {
        let work = async move { Run::begin(&inside, &job, None).plain().await };
        runtime.execute(call, work).await
    };
    match execution {
        Execution::Ran { answer, stored, .. } => match stored {
            Stored::Recorded => Answer::Fresh { body: answer },
            Stored::Released => Answer::Released { body: answer },
            Stored::Pending | Stored::Lost => Answer::NotStored { body: answer },
        },
        Execution::Replayed(replay) => Answer::Replayed {
            body: super::body(&replay.record),
            expired: replay.expired,
        },
        Execution::InProgress { .. } => Answer::InProgress,
        Execution::KeyReused => Answer::KeyReused,
        Execution::OutcomeUnknown => Answer::OutcomeUnknown,
        Execution::Panicked => Answer::WorkPanicked,
        Execution::Stopped(_) => Answer::Stopped,
        Execution::StoreFailed(_) => Answer::StoreUnavailable,
        Execution::Unprotected { answer } => Answer::Unprotected { body: answer },
        Execution::NotCommitted(error) => Answer::Other(error.to_string()),
        Execution::Limited { .. } => Answer::Other("limited".to_owned()),
    }
}

fn failed(error: OnceError<String>) -> Answer {
    match error {
        OnceError::Work(body) => Answer::Released { body },
        OnceError::Panicked => Answer::WorkPanicked,
        OnceError::InProgress { .. } => Answer::InProgress,
        OnceError::KeyReused => Answer::KeyReused,
        OnceError::OutcomeUnknown => Answer::OutcomeUnknown,
        OnceError::Store(_) => Answer::StoreUnavailable,
        OnceError::Stopped(_) => Answer::Stopped,
        error => Answer::Other(error.to_string()),
    }
}

/// One execution.
struct Run {
    inside: Inside,
    id: RunId,
    place: Place,
    is_over: bool,
}

impl Run {
    fn begin(inside: &Inside, job: &Job, steps: Option<&Steps>) -> Self {
        let now = inside.now();
        let mut world = inside.world.lock();
        let run = Self {
            inside: inside.clone(),
            id: world.new_run(),
            place: job.place,
            is_over: false,
        };
        let began = What::Began {
            run: run.id,
            call: Some(job.call),
            node: inside.life.node,
            place: job.place,
            payload: job.payload,
            attempt: steps.map(Steps::attempt),
            fence: steps
                .and_then(|steps| steps.lease().fence())
                .map(idem_core::Fence::get),
        };
        world.note(now, began);
        drop(world);
        run
    }

    fn note(&self, what: What) {
        let now = self.inside.now();
        self.inside.world.lock().note(now, what);
    }

    fn draw(&self, low: u64, high: u64) -> u64 {
        self.inside.world.lock().rng.between(low, high)
    }

    fn odds(&self, per_mille: u64) -> bool {
        let is_calm = self.inside.calm.load(std::sync::atomic::Ordering::Relaxed);
        !is_calm && self.inside.world.lock().rng.odds(per_mille)
    }

    async fn pause(&self) {
        let short = self.odds(600);
        let pause = self.draw(0, if short { 8 } else { LONGEST });
        sleep(ms(pause)).await;
    }

    async fn plain(self) -> Finish<String> {
        self.pause().await;
        self.note(What::Effect { run: self.id });
        self.pause().await;
        self.end().await
    }

    async fn in_steps(self, steps: Steps) -> Finish<String> {
        self.pause().await;
        for number in 0..steps_of(self.place) {
            let step = format!("step-{number}");
            let mut ran = false;
            let result = steps
                .run(&step, || {
                    ran = true;
                    self.step(&step)
                })
                .await;
            let (run, step) = (self.id, step);
            match result {
                Ok(value) => {
                    assert_eq!(value, number_of(&step), "a step has another's result");
                    if ran {
                        self.note(What::StepKept { run, step });
                    }
                }
                Err(StepError::Work(Declined)) => return self.release(),
                Err(StepError::Steps(error)) => return self.stop(&error),
            }
            self.pause().await;
        }
        self.note(What::Effect { run: self.id });
        self.end().await
    }

    async fn step(&self, step: &str) -> Result<u32, Declined> {
        let (run, step) = (self.id, step.to_owned());
        self.note(What::StepBegan {
            run,
            step: step.clone(),
        });
        self.pause().await;
        self.note(What::StepEffect {
            run,
            step: step.clone(),
        });
        if self.odds(30) {
            return Err(Declined);
        }
        Ok(number_of(&step))
    }

    async fn end(mut self) -> Finish<String> {
        if self.odds(90) {
            return self.release();
        }
        if self.odds(60) {
            self.is_over = true;
            self.note(What::Ended {
                run: self.id,
                end: End::Panic,
            });
            // As a panic, without the words of the panic hook.
            std::panic::resume_unwind(Box::new("the work panics"));
        }
        let answer = self.body();
        self.is_over = true;
        self.note(What::Ended {
            run: self.id,
            end: End::Record(answer.clone()),
        });
        Finish::Record {
            record: Bytes::from(answer.clone()),
            answer,
        }
    }

    fn release(mut self) -> Finish<String> {
        self.is_over = true;
        let answer = self.body();
        self.note(What::Ended {
            run: self.id,
            end: End::Release(answer.clone()),
        });
        Finish::Release { answer }
    }

    /// The work has to end. Some authors answer all the same, which must not be recorded.
    fn stop(mut self, _error: &StepsError) -> Finish<String> {
        self.is_over = true;
        self.note(What::Ended {
            run: self.id,
            end: End::Stopped,
        });
        let answer = format!("stopped-{}", self.id);
        if self.odds(500) {
            return Finish::Release { answer };
        }
        Finish::Record {
            record: Bytes::from(answer.clone()),
            answer,
        }
    }

    fn body(&self) -> String {
        format!("answer-{}", self.id)
    }
}

fn number_of(step: &str) -> u32 {
    step.rsplit('-')
        .next()
        .and_then(|it| it.parse().ok())
        .unwrap()
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let run = self.id;
        self.note(if self.inside.is_dead() {
            What::Cut { run }
        } else {
            What::Dropped { run }
        });
    }
}
