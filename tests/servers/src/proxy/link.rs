//! One connection through a proxy.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;

use super::lane::{Lane, Ready};
use super::scan::Scan;
use super::state::{Mode, Shared, State};

/// Why a connection ends.
enum End {
    /// One side closed it, and the other has got everything.
    Closed,
    /// The proxy breaks it, or one side has.
    Broken,
}

/// Serves a client until its connection ends.
pub(super) async fn serve(client: TcpStream, target: u16, generation: u64, shared: Arc<Shared>) {
    let _counted = shared.count();
    let end = match connect(target, generation, &shared).await {
        Some(server) => {
            let link = Link {
                client: &client,
                server: &server,
                shared: &shared,
                generation,
                requests: Lane::default(),
                replies: Lane::default(),
                scan: Scan::default(),
                silenced: false,
                is_asked: false,
            };
            link.run().await
        }
        None => End::Broken,
    };
    if matches!(end, End::Broken) {
        // A reset, not an orderly end.
        let _ = client.set_zero_linger();
    }
}

/// Connects to the server, as soon as anything may pass.
async fn connect(target: u16, generation: u64, shared: &Shared) -> Option<TcpStream> {
    let mut changes = shared.changes();
    loop {
        let state = *shared.lock();
        if is_over(&state, generation) {
            return None;
        }
        if state.mode != Mode::Blackhole {
            break;
        }
        changes.changed().await.ok()?;
    }
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await;
    let server = server.ok()?;
    server.set_nodelay(true).ok()?;
    Some(server)
}

fn is_over(state: &State, generation: u64) -> bool {
    state.mode == Mode::Refuse || state.generation != generation
}

struct Link<'a> {
    client: &'a TcpStream,
    server: &'a TcpStream,
    shared: &'a Shared,
    generation: u64,
    requests: Lane,
    replies: Lane,
    scan: Scan,
    /// Replies were thrown away: what follows would answer the wrong requests.
    silenced: bool,
    /// The client has said something since the server did.
    is_asked: bool,
}

impl Link<'_> {
    async fn run(mut self) -> End {
        let mut changes = self.shared.changes();
        loop {
            let state = *self.shared.lock();
            if is_over(&state, self.generation) {
                return End::Broken;
            }
            if self.silenced && state.mode != Mode::DropReplies {
                return End::Broken;
            }
            if self.requests.is_done() || self.replies.is_done() {
                return End::Closed;
            }
            let open = state.mode != Mode::Blackhole;
            // A replica's bytes are held by the proxy, not by the master. What is held for a
            // while would hold up what comes behind it once more.
            let read_ahead = self.scan.replica || !state.lag.is_zero();
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return End::Broken;
                },
                ready = self.requests.ready(
                    self.client,
                    self.server,
                    open && (read_ahead || self.requests.is_empty()),
                    open,
                ) => if self.request(ready).is_err() {
                    return End::Broken;
                },
                ready = self.replies.ready(
                    self.server,
                    self.client,
                    open && (read_ahead || self.replies.is_empty()),
                    open && !self.is_frozen(&state),
                ) => match self.reply(ready) {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return End::Broken,
                },
            }
        }
    }

    fn is_frozen(&self, state: &State) -> bool {
        self.scan.replica && state.frozen
    }

    /// A step from the client to the server.
    fn request(&mut self, ready: io::Result<Ready>) -> io::Result<()> {
        let ready = ready?;
        let state = self.shared.lock();
        if is_over(&state, self.generation) || state.mode == Mode::Blackhole {
            return Ok(());
        }
        match ready {
            Ready::Read => {
                if let Some(bytes) = self.requests.read(self.client)? {
                    self.scan.see(&bytes);
                    if !self.is_asked {
                        self.is_asked = true;
                        self.shared.round_trips().fetch_add(1, Ordering::SeqCst);
                    }
                    let lag = if self.scan.replica {
                        Duration::ZERO
                    } else {
                        state.lag
                    };
                    self.requests.hold(bytes, lag);
                }
                Ok(())
            }
            Ready::Write => {
                let written = self.requests.write(self.server);
                if written.is_err() && self.scan.replica {
                    // The master is gone. What it has sent is still on its way.
                    self.requests = Lane::default();
                    return Ok(());
                }
                written
            }
        }
    }

    /// A step from the server to the client. `false`: the connection is to be broken.
    fn reply(&mut self, ready: io::Result<Ready>) -> io::Result<bool> {
        let ready = ready?;
        let mut state = self.shared.lock();
        if is_over(&state, self.generation) || state.mode == Mode::Blackhole {
            return Ok(true);
        }
        if matches!(ready, Ready::Write) {
            if state.mode == Mode::DropReplies {
                // What was read before is not there yet either.
                self.silenced = true;
                self.replies = Lane::default();
            } else if !self.is_frozen(&state) {
                self.replies.write(self.client)?;
            }
            return Ok(true);
        }
        let read = self.replies.read(self.server);
        if read.is_err() && self.scan.replica {
            self.replies.end();
            return Ok(true);
        }
        let Some(bytes) = read? else {
            return Ok(true);
        };
        self.is_asked = false;
        if state.mode == Mode::DropReplies {
            self.silenced = true;
            return Ok(true);
        }
        if state.resets > 0 && self.scan.script {
            state.resets -= 1;
            self.shared.lost().fetch_add(1, Ordering::SeqCst);
            return Ok(false);
        }
        let delay = if self.scan.replica {
            state.delay
        } else {
            state.lag
        };
        self.replies.hold(bytes, delay);
        Ok(true)
    }
}
