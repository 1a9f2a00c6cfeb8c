//! A process: a tokio runtime of its own with its own clock, and a real [`Runtime`] in it.

use std::{
    cell::Cell,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use idem_core::{ReplayCache, Runtime, StoreError, testing::Leftovers};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    machine::{Reply, Request},
    plan::{Plan, ms},
    wire::{Far, Wire},
    world::{Life, Shared},
};
use crate::history::CallId;

/// What its tasks know of their process.
#[derive(Clone)]
pub(super) struct Inside {
    pub(super) world: Shared,
    pub(super) life: Life,
    born: Duration,
    base: Instant,
    /// When it died, in nanoseconds; while it lives, nothing.
    died: Arc<AtomicU64>,
    /// Something was sent or answered: the loop has to look.
    look: Arc<Notify>,
    pub(super) calm: Arc<AtomicBool>,
}

impl Inside {
    /// The time on the process's clock, as everybody counts it.
    pub(super) fn now(&self) -> Duration {
        match self.died.load(Relaxed) {
            u64::MAX => self.born + self.base.elapsed(),
            died => Duration::from_nanos(died),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.died.load(Relaxed) != u64::MAX
    }

    pub(super) fn tell(&self) {
        self.look.notify_one();
    }
}

impl Wire for Inside {
    async fn ask(&self, request: Request) -> Result<Reply, StoreError> {
        let (reply_to, reply) = oneshot::channel();
        if !self.is_dead() {
            let now = self.now();
            let mut world = self.world.lock();
            world.send(self.life, now, CALL.get(), request, reply_to);
            drop(world);
            self.tell();
        }
        match reply.await {
            Ok(reply) => reply,
            Err(_) => Err(StoreError::Interrupted("the process has died".into())),
        }
    }

    fn skips(&self) -> bool {
        let mut world = self.world.lock();
        let odds = world.weather.renewal_skipped;
        let skips = odds > 0 && world.rng.odds(odds);
        if skips {
            let node = self.life.node;
            world.note(self.now(), crate::history::What::Disturbed { node });
        }
        skips
    }
}

/// Something that is handed to a process.
pub(super) type Arrival = Box<dyn FnOnce(&mut Node)>;

pub(super) struct Node {
    pub(super) runtime: Runtime,
    pub(super) inside: Inside,
    tokio: tokio::runtime::Runtime,
    pub(super) is_stopped: bool,
    /// Something is going on: it has to be stepped.
    pub(super) is_active: bool,
    /// What has arrived while it stood still.
    pub(super) inbox: Vec<Arrival>,
    /// Who waits for an answer, and is told when the client leaves.
    pub(super) clients: std::collections::BTreeMap<CallId, Arc<Notify>>,
}

impl Node {
    pub(super) fn start(world: &Shared, plan: &Plan, life: Life, born: Duration) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let base = {
            let _entered = tokio.enter();
            Instant::now()
        };
        let inside = Inside {
            world: world.clone(),
            life,
            born,
            base,
            died: Arc::new(AtomicU64::new(u64::MAX)),
            look: Arc::default(),
            calm: Arc::default(),
        };
        let mut runtime = Runtime::builder(Far(inside.clone()))
            .policy(super::policy(&plan.rules))
            .store_deadline(plan.timeouts.verb)
            .store_try_timeout(plan.timeouts.attempt)
            .complete_timeout(plan.timeouts.complete)
            .carry(|rest| match CALL.get() {
                Some(call) => Tagged::new(call, rest).boxed(),
                None => rest,
            });
        if let Some(max_age) = plan.cache {
            runtime = runtime.replay_cache(ReplayCache {
                max_bytes: 1 << 20,
                max_age,
            });
        }
        let runtime = runtime.build().unwrap();
        Self {
            runtime,
            inside,
            tokio,
            is_stopped: false,
            is_active: false,
            inbox: Vec::new(),
            clients: std::collections::BTreeMap::new(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        let _entered = self.tokio.enter();
        self.inside.now()
    }

    /// Runs until then, or until something was sent or answered.
    pub(super) fn run(&mut self, until: Duration) {
        let deadline = self.inside.base + (until - self.inside.born);
        let look = Arc::clone(&self.inside.look);
        self.tokio.block_on(async move {
            tokio::select! {
                biased;
                () = look.notified() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        });
        self.look_around();
    }

    /// Runs until then, whatever is sent.
    pub(super) fn run_to(&mut self, until: Duration) {
        while self.now() < until {
            self.run(until);
        }
    }

    pub(super) fn look_around(&mut self) {
        self.is_active = self.leftovers().tasks > 0 || !self.clients.is_empty();
    }

    pub(super) fn leftovers(&self) -> Leftovers {
        self.runtime.leftovers()
    }

    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tokio.spawn(task);
        self.is_active = true;
    }

    /// It goes on where it stood, and finds that time has passed.
    pub(super) fn wake(&mut self, at: Duration, timers_first: bool) {
        self.is_stopped = false;
        let inbox = std::mem::take(&mut self.inbox);
        if timers_first {
            self.jump(at);
        }
        for arrived in inbox {
            arrived(self);
        }
        if !timers_first {
            self.jump(at);
        }
        self.look_around();
    }

    fn jump(&self, at: Duration) {
        let by = at.saturating_sub(self.now());
        self.tokio.block_on(tokio::time::advance(by));
    }

    /// It dies, with everything that it was doing.
    pub(super) fn crash(self, at: Duration) {
        let nanos = u64::try_from(at.as_nanos()).unwrap();
        self.inside.died.store(nanos, Relaxed);
        // First its tasks, wherever they wait; nothing of them is polled any more.
        drop(self.tokio);
        drop(self.runtime);
    }

    /// Nothing is asked any more. What is left then?
    pub(super) fn drain(&self) -> Leftovers {
        self.tokio.block_on(async {
            let _ = self.runtime.drain(ms(1)).await;
        });
        self.leftovers()
    }
}

thread_local! {
    /// For which request the task at hand works.
    static CALL: Cell<Option<CallId>> = const { Cell::new(None) };
}

/// A future that works for a request, also while it is dropped.
pub(super) struct Tagged<T> {
    call: CallId,
    future: Option<BoxFuture<'static, T>>,
}

impl<T> Tagged<T> {
    pub(super) fn new(call: CallId, future: BoxFuture<'static, T>) -> Self {
        Self {
            call,
            future: Some(future),
        }
    }

    fn within<R>(call: CallId, work: impl FnOnce() -> R) -> R {
        let before = CALL.replace(Some(call));
        let result = work();
        CALL.set(before);
        result
    }
}

impl<T> Future for Tagged<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        match &mut this.future {
            Some(future) => Self::within(this.call, || future.as_mut().poll(context)),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Tagged<T> {
    fn drop(&mut self) {
        let future = self.future.take();
        Self::within(self.call, || drop(future));
    }
}
