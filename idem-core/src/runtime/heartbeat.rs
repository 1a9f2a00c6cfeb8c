//! Renews the leases of everything that this process has in flight.
//!
//! One task serves them all. It is apart from the handlers' tasks, so a handler
//! that keeps its thread busy does not starve its own heartbeat (as long as the
//! tokio runtime has another thread).

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::commands::Commands;
use crate::{
    Grant, Operation, Written,
    clock::after,
    telemetry::{self, Beat},
};

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
    by_due: BTreeSet<(Instant, u64)>,
    next_id: u64,
    task: Task,
}

#[derive(Default)]
enum Task {
    /// None is there. It ends with its tokio runtime, and the next run starts
    /// another on its own.
    #[default]
    Absent,
    /// It will look at the queue before it sleeps.
    Awake,
    /// It sleeps until then, or until it is told.
    Asleep(Option<Instant>),
    /// The registry is dropped.
    Closed,
}

struct Run {
    grant: Grant,
    lease: Duration,
    due: Instant,
    operation: Operation,
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
    ) -> Heartbeat {
        let mut runs = self.0.lock();
        let id = runs.next_id;
        runs.next_id += 1;
        let due = after(claimed_at, lease / 3);
        runs.by_due.insert((due, id));
        runs.by_id.insert(
            id,
            Run {
                grant,
                lease,
                due,
                operation,
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

    async fn beat(&self, id: u64, grant: Grant, lease: Duration) {
        let sent = Instant::now();
        let answer = self.commands.renew(grant, lease).await;
        let mut runs = self.lock();
        // Gone: the execution ended meanwhile, and what the store said no longer matters.
        let Some(run) = runs.by_id.get(&id) else {
            return;
        };
        match answer {
            Ok(Written::Done) => {
                telemetry::heartbeat(Beat::Renewed);
                runs.schedule(id, after(sent, lease / 3));
            }
            Ok(Written::Fenced) => {
                if !run.concluding {
                    telemetry::heartbeat(Beat::Fenced);
                    tracing::warn!(
                        slot = %grant.slot.short(),
                        operation = %run.operation,
                        fence = %grant.fence,
                        "the lease was lost: another execution has taken over"
                    );
                }
                // It is out of the queue, and stays out.
            }
            Err(error) => {
                telemetry::heartbeat(Beat::Failed);
                tracing::warn!(
                    slot = %grant.slot.short(),
                    operation = %run.operation,
                    %error,
                    "a lease could not be renewed, trying again"
                );
                runs.schedule(id, after(Instant::now(), lease / 10));
            }
        }
        drop(runs);
        self.changed.notify_one();
    }
}

impl Runs {
    fn schedule(&mut self, id: u64, due: Instant) {
        if let Some(run) = self.by_id.get_mut(&id) {
            self.by_due.remove(&(run.due, id));
            run.due = due;
            self.by_due.insert((due, id));
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(run) = self.by_id.remove(&id) {
            self.by_due.remove(&(run.due, id));
        }
    }

    /// Takes what is due out of the queue; a beat puts it back.
    fn take_due(&mut self, now: Instant) -> Vec<(u64, Grant, Duration)> {
        let mut due = Vec::new();
        while let Some((at, id)) = self.by_due.first().copied() {
            if at > now {
                break;
            }
            self.by_due.remove(&(at, id));
            if let Some(run) = self.by_id.get(&id) {
                due.push((id, run.grant, run.lease));
            }
        }
        due
    }
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
        let (due, sleep) = {
            let mut runs = shared.lock();
            if matches!(runs.task, Task::Closed) {
                return;
            }
            let due = runs.take_due(Instant::now());
            let sleep = runs.by_due.first().map(|(first, _)| *first);
            runs.task = Task::Asleep(sleep);
            (due, sleep)
        };
        for (id, grant, lease) in due {
            let shared = Arc::clone(shared);
            tokio::spawn(async move { shared.beat(id, grant, lease).await });
        }
        match sleep {
            Some(until) => {
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = shared.changed.notified() => {}
                }
            }
            None => shared.changed.notified().await,
        }
    }
}
