//! Renews the leases of everything that this process has in flight.
//!
//! One task with one timer serves them all, and renews those together that are
//! due at nearly the same time. It is apart from the handlers' tasks, so a handler
//! that keeps its thread busy does not starve its own heartbeat (as long as the
//! tokio runtime has another thread).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{commands::Commands, due::Queue, lease::Held};
use crate::{
    Grant, Operation, Renewal, StoreError, Written,
    clock::after,
    telemetry::{self, Beat},
};

/// How many leases are renewed by one command at the most: what is lost with one
/// reply is soon asked for again.
const BATCH: usize = 500;

/// How many of these commands are on their way at the most. Each has a deadline of
/// its own, which it is not to spend in a queue behind the others; what is due
/// meanwhile stays ours until one is answered.
const AT_ONCE: usize = 4;

/// A lease is renewed a third of it before it is due at the latest, and this part
/// of it earlier if others are renewed then.
const EARLY: u32 = 30;

/// The registry of what is in flight. Its task ends when it is dropped.
pub(crate) struct Heartbeats(Arc<Shared>);

struct Shared {
    commands: Commands,
    runs: Mutex<Runs>,
    /// There is something due earlier than the task sleeps, or everything is over.
    changed: Notify,
}

#[derive(Default)]
struct Runs {
    by_id: HashMap<u64, Run>,
    by_due: Queue,
    next_id: u64,
    task: Task,
    /// How many batches are on their way.
    beating: usize,
}

#[derive(Default)]
enum Task {
    /// None is there. It ends with its tokio runtime, and the next run starts
    /// another on its own.
    #[default]
    Absent,
    /// It will look at the queue by itself: before it sleeps, or when a batch that
    /// is on its way is answered.
    Awake,
    /// It sleeps until then, or until it is told.
    Asleep(Option<Instant>),
    /// The registry is dropped.
    Closed,
}

struct Run {
    grant: Grant,
    lease: Duration,
    /// Its place in the queue. `None`: it is being renewed, or never will be again.
    due: Option<Instant>,
    operation: Operation,
    /// Work that wants to know whether its lease holds.
    held: Option<Arc<Held>>,
    /// The outcome is being stored: a renewal that comes too late for it is
    /// fenced, and that is no news.
    concluding: bool,
}

impl Heartbeats {
    pub(crate) fn new(commands: Commands) -> Self {
        Self(Arc::new(Shared {
            commands,
            runs: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Keeps the lease of `grant` alive until the answer is dropped.
    pub(crate) fn start(
        &self,
        grant: Grant,
        lease: Duration,
        claimed_at: Instant,
        operation: Operation,
        held: Option<Arc<Held>>,
    ) -> Heartbeat {
        let mut runs = self.0.lock();
        let id = runs.next_id;
        runs.next_id += 1;
        let due = after(claimed_at, lease / 3);
        runs.by_due.put(due, id);
        runs.by_id.insert(
            id,
            Run {
                grant,
                lease,
                due: Some(due),
                operation,
                held,
                concluding: false,
            },
        );
        match runs.task {
            Task::Absent => {
                runs.task = Task::Awake;
                drop(runs);
                tokio::spawn(serve(Serving(Arc::clone(&self.0))));
            }
            Task::Asleep(until) if until.is_none_or(|until| due < until) => {
                drop(runs);
                self.0.changed.notify_one();
            }
            Task::Asleep(_) | Task::Awake | Task::Closed => {}
        }
        Heartbeat {
            id,
            shared: Arc::clone(&self.0),
        }
    }
}

#[cfg(feature = "testing")]
impl Heartbeats {
    /// How many leases are kept alive.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().by_id.len()
    }
}

/// Keeps one lease alive for as long as it lives.
pub(crate) struct Heartbeat {
    id: u64,
    shared: Arc<Shared>,
}

impl Heartbeat {
    /// The outcome is about to be stored.
    pub(crate) fn conclude(&self) {
        if let Some(run) = self.shared.lock().by_id.get_mut(&self.id) {
            run.concluding = true;
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.shared.lock().remove(self.id);
    }
}

impl Drop for Heartbeats {
    fn drop(&mut self) {
        self.0.lock().task = Task::Closed;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn beat(&self, batch: Vec<Due>) {
        let asked_at = Instant::now();
        let renewals: Vec<Renewal> = batch.iter().map(|due| due.renewal).collect();
        let answer = self.commands.renew_many(&renewals).await;
        let mut runs = self.lock();
        match answer {
            Ok(answers) => {
                for (due, written) in batch.iter().zip(answers) {
                    match written {
                        Some(written) => runs.written(due, written, asked_at),
                        None => runs.unanswered(due),
                    }
                }
            }
            Err(error) => runs.failed(&batch, &error),
        }
    }
}

/// A batch is on its way for as long as this lives, however that ends.
struct Beating(Arc<Shared>);

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.lock().beating -= 1;
        self.0.changed.notify_one();
    }
}

/// A run whose lease is to be renewed now.
struct Due {
    id: u64,
    renewal: Renewal,
}

impl Runs {
    /// Puts a run that was taken back into the queue.
    fn schedule(&mut self, id: u64, due: Instant) {
        if let Some(run) = self.by_id.get_mut(&id) {
            run.due = Some(due);
            self.by_due.put(due, id);
        }
    }

    fn remove(&mut self, id: u64) {
        let removed = self.by_id.remove(&id);
        if removed.is_some_and(|run| run.due.is_some()) {
            self.by_due.outdate(is_place(&self.by_id));
        }
    }

    /// The next that is due, and when.
    fn first(&mut self) -> Option<(Instant, u64)> {
        self.by_due.first(is_place(&self.by_id))
    }

    /// Takes a batch of what is due, or soon will be, out of the queue; a beat puts
    /// it back.
    fn take_due(&mut self, now: Instant) -> Vec<Due> {
        let mut taken = Vec::new();
        // Nobody is up for it unless something is due.
        if self.first().is_none_or(|(first, _)| first > now) {
            return taken;
        }
        while taken.len() < BATCH
            && let Some((at, id)) = self.first()
            && let Some(run) = self.by_id.get_mut(&id)
        {
            if at > after(now, run.lease / EARLY) {
                break;
            }
            run.due = None;
            self.by_due.pop();
            taken.push(Due {
                id,
                renewal: Renewal {
                    grant: run.grant,
                    lease: run.lease,
                },
            });
        }
        taken
    }

    /// The store's answer. A run that is gone has ended meanwhile, and what the
    /// store says of it no longer matters.
    fn written(&mut self, due: &Due, written: Written, asked_at: Instant) {
        let Some(run) = self.by_id.get(&due.id) else {
            return;
        };
        let Renewal { grant, lease } = due.renewal;
        match written {
            Written::Done => {
                telemetry::heartbeat(Beat::Renewed);
                if let Some(held) = &run.held {
                    held.renewed(asked_at);
                }
                self.schedule(due.id, after(asked_at, lease / 3));
            }
            // It is out of the queue, and stays out.
            Written::Fenced => {
                if let Some(held) = &run.held {
                    held.fenced();
                }
                if run.concluding {
                    return;
                }
                telemetry::heartbeat(Beat::Fenced);
                tracing::warn!(
                    slot = %grant.slot.short(),
                    operation = %run.operation,
                    fence = %grant.fence,
                    "the lease was lost: another execution has taken over"
                );
            }
        }
    }

    /// There was no answer for any of them.
    fn failed(&mut self, batch: &[Due], error: &StoreError) {
        let mut leases = 0;
        for due in batch {
            if self.by_id.contains_key(&due.id) {
                self.unanswered(due);
                leases += 1;
            }
        }
        if leases > 0 {
            tracing::warn!(leases, %error, "leases could not be renewed, trying again");
        }
    }

    /// There was no answer for this one.
    fn unanswered(&mut self, due: &Due) {
        if self.by_id.contains_key(&due.id) {
            telemetry::heartbeat(Beat::Failed);
            self.schedule(due.id, after(Instant::now(), due.renewal.lease / 10));
        }
    }
}

/// Whether a place in the queue is that of a run.
fn is_place(by_id: &HashMap<u64, Run>) -> impl Fn(Instant, u64) -> bool {
    |at, id| by_id.get(&id).is_some_and(|run| run.due == Some(at))
}

/// Says that no task is there any more, however the task ends.
struct Serving(Arc<Shared>);

impl Drop for Serving {
    fn drop(&mut self) {
        let mut runs = self.0.lock();
        if !matches!(runs.task, Task::Closed) {
            runs.task = Task::Absent;
        }
    }
}

async fn serve(serving: Serving) {
    let shared = &serving.0;
    loop {
        let (batches, sleep) = {
            let mut runs = shared.lock();
            if matches!(runs.task, Task::Closed) {
                return;
            }
            let now = Instant::now();
            let mut batches = Vec::new();
            while runs.beating < AT_ONCE {
                let due = runs.take_due(now);
                if due.is_empty() {
                    break;
                }
                runs.beating += 1;
                batches.push(due);
            }
            let mut sleep = None;
            runs.task = if runs.beating < AT_ONCE {
                sleep = runs.first().map(|(first, _)| first);
                Task::Asleep(sleep)
            } else {
                Task::Awake
            };
            (batches, sleep)
        };
        for due in batches {
            let beating = Beating(Arc::clone(shared));
            tokio::spawn(async move { beating.0.beat(due).await });
        }
        match sleep {
            Some(until) => {
                tokio::select! {
                    biased;
                    () = shared.changed.notified() => {}
                    () = sleep_until(until) => {}
                }
            }
            None => shared.changed.notified().await,
        }
    }
}
