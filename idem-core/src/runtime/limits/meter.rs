//! What scopes store: told to the store beside each outcome, and what it answers.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, instrument::WithSubscriber};

use super::{Met, remembered::Remembered};
use crate::{ScopeTag, Spent, StoreError, clock::after, runtime::commands::Commands};

/// Something that goes on beside an execution, and is waited for by nobody.
pub(in crate::runtime) type Aside = BoxFuture<'static, ()>;

/// One budget for each scope and window, kept by the store.
pub(super) struct Meter {
    budget: u64,
    commands: Commands,
    tracker: TaskTracker,
    /// The scopes whose bytes are on their way, and what has come meanwhile: a
    /// busy scope has one command on its way, and takes one connection.
    sending: Mutex<HashMap<ScopeTag, Waiting>>,
    remembered: Remembered,
    is_down: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    bytes: u64,
    window: Duration,
}

impl Meter {
    pub(super) fn new(budget: u64, commands: Commands, tracker: TaskTracker) -> Self {
        Self {
            budget,
            commands,
            tracker,
            sending: Mutex::default(),
            remembered: Remembered::default(),
            is_down: AtomicBool::new(false),
        }
    }

    /// Whether the scope may store more, as far as this process knows.
    pub(super) fn check(&self, tag: ScopeTag) -> Result<(), Met> {
        self.remembered
            .left(tag)
            .map_or(Ok(()), |left| Err(Met::stored_bytes(left)))
    }

    /// Adds to the scope's meter, unless that is being done: then it goes along next.
    pub(super) fn spend(
        self: &Arc<Self>,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Option<Aside> {
        let mut sending = lock(&self.sending);
        if let Some(waiting) = sending.get_mut(&tag) {
            waiting.bytes = waiting.bytes.saturating_add(bytes);
            waiting.window = waiting.window.max(window);
            return None;
        }
        sending.insert(tag, Waiting::default());
        drop(sending);
        let mut turn = Turn {
            meter: Arc::clone(self),
            tag,
            is_over: false,
        };
        let token = self.tracker.token();
        Some(Box::pin(async move {
            let mut next = Some((bytes, window));
            while let Some((bytes, window)) = next {
                let meter = &turn.meter;
                meter.learn(tag, meter.commands.spend(tag, bytes, window).await);
                next = turn.more();
            }
            drop((turn, token));
        }))
    }

    fn learn(&self, tag: ScopeTag, answer: Result<Spent, StoreError>) {
        let answer = match answer {
            Ok(answer) => answer,
            // Not once for each answer while it is away.
            Err(error) if self.is_down.swap(true, Relaxed) => {
                tracing::debug!(%error, "what a scope has stored was not counted");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "the store does not count what scopes store, so `stored_bytes` does not hold");
                return;
            }
        };
        if self.is_down.swap(false, Relaxed) {
            tracing::info!("the store counts what scopes store again");
        }
        if answer.total < self.budget {
            return;
        }
        let until = after(Instant::now(), answer.resets_in);
        if self.remembered.remember(tag, until) {
            tracing::warn!(scope = ?tag, total = answer.total, resets_in = ?answer.resets_in,
                "a scope has stored its limit, and starts nothing new until its window ends");
        }
    }
}

/// The command of a scope that is on its way.
struct Turn {
    meter: Arc<Meter>,
    tag: ScopeTag,
    is_over: bool,
}

impl Turn {
    /// What has come meanwhile.
    fn more(&mut self) -> Option<(u64, Duration)> {
        let mut sending = lock(&self.meter.sending);
        let waiting = sending.get_mut(&self.tag).map(std::mem::take)?;
        if waiting.bytes == 0 {
            // Under this lock: what comes from now on is sent by whoever brings it.
            sending.remove(&self.tag);
            self.is_over = true;
            return None;
        }
        Some((waiting.bytes, waiting.window))
    }
}

/// Interrupted, it makes room for the next.
impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            lock(&self.meter.sending).remove(&self.tag);
        }
    }
}

/// A poisoned lock is taken all the same: nothing is left half changed.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `main` comes to, with `aside` on its way at the same time. `main` is not
/// held up: what is left of `aside` then goes on in a task of its own.
pub(in crate::runtime) async fn with_aside<T>(main: impl Future<Output = T>, aside: Aside) -> T {
    let mut main = pin!(main);
    let mut aside = Some(aside);
    let answer = poll_fn(|context| {
        let answer = main.as_mut().poll(context);
        if let Some(future) = &mut aside
            && future.as_mut().poll(context).is_ready()
        {
            aside = None;
        }
        answer
    })
    .await;
    if let Some(rest) = aside {
        tokio::spawn(rest.in_current_span().with_current_subscriber());
    }
    answer
}
