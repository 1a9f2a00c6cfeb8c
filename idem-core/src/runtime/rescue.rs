//! A future that goes on after its owner has dropped it.
//!
//! hyper drops a handler's future when the client goes away. What is polled
//! here runs in place, inside whatever task-locals its caller has set, and
//! moves to a task of its own only if it is dropped while it must not be.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tracing::instrument::WithSubscriber;

/// Wraps what is left of a dropped execution before it goes on in its own task.
pub(crate) type Carrier =
    Arc<dyn Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send + Sync>;

/// Whether an execution must go on when its client has gone: from the moment a
/// claim is sent until it is lost, or its outcome is stored.
///
/// Only the task that polls the execution reads and writes it, so relaxed
/// ordering is enough.
#[derive(Clone, Default)]
pub(crate) struct Engaged(Arc<AtomicBool>);

impl Engaged {
    pub(crate) fn set(&self, engaged: bool) {
        self.0.store(engaged, Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Relaxed)
    }
}

pub(crate) struct Rescue<T: Send + 'static> {
    future: Option<BoxFuture<'static, T>>,
    engaged: Engaged,
    carrier: Option<Carrier>,
    /// Where it is polled, noted while it is: `drop` may run anywhere.
    home: Option<Handle>,
    /// Set while the future is being polled: a future that panicked is not polled again.
    polling: bool,
}

impl<T: Send + 'static> Rescue<T> {
    pub(crate) fn new(
        future: BoxFuture<'static, T>,
        engaged: Engaged,
        carrier: Option<Carrier>,
    ) -> Self {
        Self {
            future: Some(future),
            engaged,
            carrier,
            home: None,
            polling: false,
        }
    }
}

impl<T: Send + 'static> Future for Rescue<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Nothing in here is pinned in place: the inner future has its own box.
        let this = self.get_mut();
        let Some(future) = &mut this.future else {
            // It has ended, and is polled again against the contract of `Future`.
            return Poll::Pending;
        };
        if this.home.is_none() {
            this.home = Handle::try_current().ok();
        }
        this.polling = true;
        let poll = future.as_mut().poll(context);
        this.polling = false;
        if poll.is_ready() {
            this.future = None;
        }
        poll
    }
}

impl<T: Send + 'static> Drop for Rescue<T> {
    fn drop(&mut self) {
        if self.polling || !self.engaged.get() {
            return;
        }
        let (Some(future), Some(home)) = (self.future.take(), self.home.take()) else {
            return;
        };
        let rest = Box::pin(async move {
            let _ = future.await;
        });
        go_on(rest, self.carrier.as_ref(), &home);
    }
}

/// Compiled once, here: whoever drops an execution would make a task's code of its own.
#[inline(never)]
fn go_on(rest: BoxFuture<'static, ()>, carrier: Option<&Carrier>, home: &Handle) {
    tracing::debug!("the client has gone, the execution goes on without it");
    let rest = match carrier {
        Some(carry) => carry(rest),
        None => rest,
    };
    home.spawn(rest.with_current_subscriber());
}
