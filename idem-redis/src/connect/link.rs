//! One connection that comes back by itself, and says of each call whether it was sent.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{Cmd, Pipeline, RedisError, ServerError, Value, aio::MultiplexedConnection};
use tokio::time::Instant;

use super::replicas::{Acknowledged, Replicas, Writer};

/// A connection that has given no reply for this long while it was asked for
/// one is replaced: the server's machine may be gone without a word.
const SILENCE: Duration = Duration::from_millis(250);

/// A connection is not left for another while it is younger.
const YOUTH: Duration = Duration::from_secs(1);

/// How long to pause between attempts to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reconnect {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

/// Opens a connection to the server that a link is for.
pub(crate) type Dial =
    Arc<dyn Fn() -> BoxFuture<'static, Result<MultiplexedConnection, RedisError>> + Send + Sync>;

/// Why a call has no reply.
#[derive(Debug, Clone)]
pub(crate) enum CallError {
    /// There is no connection, so nothing was sent.
    NotConnected(RedisError),
    /// The server says no, and has done nothing.
    Server(ServerError),
    /// It was sent, and the connection broke.
    Broken(RedisError),
}

/// A connection to one server. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    dial: Dial,
    reconnect: Reconnect,
    replicas: Option<Replicas>,
    state: Mutex<State>,
}

struct State {
    line: Line,
    failures: u32,
}

enum Line {
    Idle,
    Connecting(Shared<BoxFuture<'static, Result<Arc<Live>, RedisError>>>),
    Up(Arc<Live>),
    /// Asking again before that time gets the same error.
    Down(Instant, RedisError),
}

/// An open connection.
struct Live {
    since: Instant,
    connection: MultiplexedConnection,
    /// How many replies it has given: to see whether it is silent.
    replies: AtomicU64,
    writer: Option<Writer>,
}

impl Link {
    pub(crate) fn new(dial: Dial, reconnect: Reconnect, replicas: Option<Replicas>) -> Self {
        Self(Arc::new(Inner {
            dial,
            reconnect,
            replicas,
            state: Mutex::new(State {
                line: Line::Idle,
                failures: 0,
            }),
        }))
    }

    /// Sends one command, after `ASKING` if it is to be let in on a slot that is
    /// moving. Sets `sent` as soon as it may have been.
    pub(crate) async fn call(
        &self,
        command: &Cmd,
        asking: bool,
        sent: &AtomicBool,
    ) -> Result<Value, CallError> {
        let live = self.live().await.map_err(CallError::NotConnected)?;
        sent.store(true, Relaxed);
        self.call_on(&live, command, asking).await
    }

    async fn call_on(
        &self,
        live: &Arc<Live>,
        command: &Cmd,
        asking: bool,
    ) -> Result<Value, CallError> {
        let mut connection = live.connection.clone();
        let waiting = Waiting::new(self, live);
        if !asking {
            let reply = connection.send_packed_command(command).await;
            return accepted(waiting.answered(reply)?);
        }
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("ASKING").add_command(command.clone());
        let replies = connection.send_packed_commands(&pipeline, 0, 2).await;
        let last = waiting.answered(replies)?.pop();
        accepted(last.unwrap_or(Value::Nil))
    }

    /// Sends many commands at once; a reply may be an error of its own.
    pub(crate) async fn call_all(&self, pipeline: &Pipeline) -> Result<Vec<Value>, CallError> {
        let live = self.live().await.map_err(CallError::NotConnected)?;
        let mut connection = live.connection.clone();
        let waiting = Waiting::new(self, &live);
        let replies = connection
            .send_packed_commands(pipeline, 0, pipeline.len())
            .await;
        waiting.answered(replies)
    }

    /// Sends one command, and waits for as many replicas as the link is told to.
    pub(crate) async fn write(
        &self,
        command: Cmd,
        asking: bool,
        sent: &AtomicBool,
    ) -> Result<(Value, Acknowledged), CallError> {
        let live = self.live().await.map_err(CallError::NotConnected)?;
        sent.store(true, Relaxed);
        let Some(writer) = &live.writer else {
            let value = self.call_on(&live, &command, asking).await?;
            return Ok((value, Acknowledged::enough()));
        };
        let waiting = Waiting::new(self, &live);
        let reply = writer.write(command, asking).await;
        let (value, acknowledged) = waiting.answered(reply)?;
        Ok((accepted(value)?, acknowledged))
    }

    /// Takes another connection from now on, because this one may lead to the
    /// wrong server; not if it is new, or a server that is the right one and in
    /// trouble would be connected to all the time.
    pub(crate) fn leave(&self) {
        let mut state = self.0.lock();
        if let Line::Up(live) = &state.line
            && live.since.elapsed() >= YOUTH
        {
            state.line = Line::Idle;
        }
    }

    async fn live(&self) -> Result<Arc<Live>, RedisError> {
        let connecting = {
            let mut state = self.0.lock();
            match &state.line {
                Line::Up(live) => return Ok(Arc::clone(live)),
                Line::Connecting(connecting) => connecting.clone(),
                Line::Down(until, error) if Instant::now() < *until => return Err(error.clone()),
                Line::Down(..) | Line::Idle => {
                    let connecting = Arc::clone(&self.0).connect().boxed().shared();
                    state.line = Line::Connecting(connecting.clone());
                    // It goes on when everybody who waits for it has given up.
                    tokio::spawn(connecting.clone());
                    connecting
                }
            }
        };
        connecting.await
    }

    /// Forgets a connection, unless it is replaced already.
    fn lose(&self, lost: &Arc<Live>) {
        let mut state = self.0.lock();
        if let Line::Up(live) = &state.line
            && Arc::ptr_eq(live, lost)
        {
            state.line = Line::Idle;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(self: Arc<Self>) -> Result<Arc<Live>, RedisError> {
        let dialled = (self.dial)().await;
        let mut state = self.lock();
        match dialled {
            Ok(connection) => {
                let writer = self
                    .replicas
                    .map(|replicas| Writer::new(connection.clone(), replicas));
                let live = Arc::new(Live {
                    since: Instant::now(),
                    connection,
                    replies: AtomicU64::new(0),
                    writer,
                });
                state.failures = 0;
                state.line = Line::Up(Arc::clone(&live));
                Ok(live)
            }
            Err(error) => {
                let doubled = self.reconnect.first * 2u32.saturating_pow(state.failures.min(16));
                let pause = doubled.min(self.reconnect.longest);
                // Those who failed together do not come back together.
                let pause = pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
                state.failures = state.failures.saturating_add(1);
                state.line = Line::Down(Instant::now() + pause, error.clone());
                Err(error)
            }
        }
    }
}

/// Server errors are replies like any other to the library.
fn accepted(value: Value) -> Result<Value, CallError> {
    match value {
        Value::ServerError(error) => Err(CallError::Server(error)),
        value => Ok(value),
    }
}

/// A call that has been sent. Dropped without an answer, it says whether the
/// connection has been silent.
struct Waiting<'a> {
    link: &'a Link,
    live: &'a Arc<Live>,
    since: Instant,
    replies: u64,
    answered: bool,
}

impl<'a> Waiting<'a> {
    fn new(link: &'a Link, live: &'a Arc<Live>) -> Self {
        Self {
            link,
            live,
            since: Instant::now(),
            replies: live.replies.load(Relaxed),
            answered: false,
        }
    }

    fn answered<T>(mut self, reply: Result<T, RedisError>) -> Result<T, CallError> {
        self.answered = true;
        match reply {
            Ok(reply) => {
                self.live.replies.fetch_add(1, Relaxed);
                Ok(reply)
            }
            Err(error) => {
                self.link.lose(self.live);
                Err(CallError::Broken(error))
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let silent = self.live.replies.load(Relaxed) == self.replies;
        if !self.answered && silent && self.since.elapsed() >= SILENCE {
            self.link.lose(self.live);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
