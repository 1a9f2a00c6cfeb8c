//! Breaks the connections to a server.

mod lane;
mod link;
mod scan;
mod state;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::ports;
use state::{Mode, Shared};

/// Stands in front of a server on 127.0.0.1 and does to its connections what a network does.
///
/// It starts out passing everything. Every method is about the connections there are and the ones
/// to come, and holds from the moment it returns. It runs on a thread of its own: neither a blocked
/// test nor tokio's paused clock touches it. Dropped, it closes everything.
///
/// What a client says does not matter to it: it may stand in front of PostgreSQL as well as of
/// Redis. Only [`Self::reset_after_request`] and what is about the replication look for commands of
/// Redis. With PostgreSQL the answer to a `COMMIT` is lost by [`Self::drop_replies`] before it is
/// sent, and [`Self::cut`] once another connection has seen that it was applied.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of the server on this port, which need not be there yet.
    pub async fn start(target_port: u16) -> Self {
        Self::launch(target_port)
    }

    pub(crate) fn launch(target: u16) -> Self {
        let listener = (0..100)
            .find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free())).ok())
            .expect("a free port");
        listener.set_nonblocking(true).expect("nonblocking");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::new());
        let (stop, stopped) = oneshot::channel();
        let links = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, target, links) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            port,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The port on 127.0.0.1 to connect to instead of the server's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`. For PostgreSQL there is
    /// [`Postgres::url_through`](crate::Postgres::url_through).
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Requests are delivered and applied, their replies are thrown away: the client hears nothing.
    ///
    /// A connection that lost a reply this way is reset when the mode ends.
    pub fn drop_replies(&self) {
        self.mode(Mode::DropReplies);
    }

    /// The next `n` times that the server replies, the reply is lost and the connection reset: the
    /// request was applied, the client does not know.
    ///
    /// Replies to what a client says before its first `EVAL` or `EVALSHA` pass and do not count.
    pub fn reset_after_request(&self, n: u64) {
        self.shared.change(|state| state.resets = n);
    }

    /// How many replies [`Self::reset_after_request`] has lost so far.
    #[must_use]
    pub fn lost_replies(&self) -> u64 {
        self.shared.lost().load(Ordering::SeqCst)
    }

    /// How often a client has had something to say after the server had, so far, all connections
    /// together: of one that waits for each answer, its round trips.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips().load(Ordering::SeqCst)
    }

    /// Connections are reset, new ones at once.
    pub fn refuse(&self) {
        self.mode(Mode::Refuse);
    }

    /// Nothing passes in either direction; connections stay open and new ones are accepted.
    ///
    /// As on a real network what was sent meanwhile arrives afterwards, unless the connections are
    /// [cut](Self::cut) first.
    pub fn blackhole(&self) {
        self.mode(Mode::Blackhole);
    }

    /// Resets the connections there are. New ones are served as before.
    pub fn cut(&self) {
        self.shared.change(|state| state.generation += 1);
    }

    /// Holds what clients and the server say to each other for so long, each way. What is on its way
    /// to a replica or from it is not meant.
    pub fn delay(&self, delay: Duration) {
        self.shared.change(|state| state.lag = delay);
    }

    /// Holds what the master sends to its replicas for so long. What replicas send passes at once.
    ///
    /// A connection is a replica's once it has sent `PSYNC`.
    pub fn delay_replication(&self, delay: Duration) {
        self.shared.change(|state| state.delay = delay);
    }

    /// Holds what the master sends to its replicas until [`Self::heal`] or [`Self::die`].
    pub fn freeze_replication(&self) {
        self.shared.change(|state| state.frozen = true);
    }

    /// As if the machine behind had gone: what is held is dropped, everything is closed, from now
    /// on connections are refused. A mere kill of a master loses nothing, since the kernel still
    /// delivers what it has written: call this first, then kill.
    pub fn die(&self) {
        self.refuse();
    }

    /// Everything passes again, without delay.
    pub fn heal(&self) {
        self.shared.change(|state| {
            state.mode = Mode::Pass;
            state.resets = 0;
            state.delay = Duration::ZERO;
            state.lag = Duration::ZERO;
            state.frozen = false;
        });
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.open()
    }

    fn mode(&self, mode: Mode) {
        self.shared.change(|state| {
            state.mode = mode;
            if mode == Mode::Refuse {
                // Also when it is healed before the connections have seen it.
                state.generation += 1;
            }
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, target: u16, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = links.join_next() => {}
            accepted = listener.accept() => {
                // What fails here is a client that has left already.
                let Ok((client, _)) = accepted else { continue };
                let _ = client.set_nodelay(true);
                let generation = shared.lock().generation;
                links.spawn(link::serve(client, target, generation, Arc::clone(&shared)));
            }
        }
    }
}
