//! One direction of a connection.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// Bytes on their way from one end to the other.
#[derive(Debug, Default)]
pub(super) struct Lane {
    held: VecDeque<(Instant, Vec<u8>)>,
    /// Nothing more will come.
    ended: bool,
}

/// What a lane can do now.
pub(super) enum Ready {
    Read,
    Write,
}

impl Lane {
    /// Waits until there is something to read or to write, of what is allowed.
    pub(super) async fn ready(
        &self,
        from: &TcpStream,
        to: &TcpStream,
        may_read: bool,
        may_write: bool,
    ) -> io::Result<Ready> {
        let due = self.held.front().map(|(due, _)| *due);
        let writable = async {
            match due.filter(|_| may_write) {
                // A timer is never done at once: it would cost every chunk a millisecond.
                Some(due) if due <= Instant::now() => {}
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
            to.writable().await
        };
        let readable = async {
            if !may_read || self.ended {
                std::future::pending::<()>().await;
            }
            from.readable().await
        };
        tokio::select! {
            done = writable => done.map(|()| Ready::Write),
            done = readable => done.map(|()| Ready::Read),
        }
    }

    /// Takes what has come, if anything has.
    pub(super) fn read(&mut self, from: &TcpStream) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; 16 * 1024];
        match from.try_read(&mut bytes) {
            Ok(0) => {
                self.ended = true;
                Ok(None)
            }
            Ok(n) => {
                bytes.truncate(n);
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Nothing more is read.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Holds bytes for a while.
    pub(super) fn hold(&mut self, bytes: Vec<u8>, delay: Duration) {
        self.held.push_back((Instant::now() + delay, bytes));
    }

    /// Passes on the first that is held, or a part of it.
    pub(super) fn write(&mut self, to: &TcpStream) -> io::Result<()> {
        let Some((_, bytes)) = self.held.front_mut() else {
            return Ok(());
        };
        match to.try_write(bytes) {
            Ok(n) if n == bytes.len() => {
                self.held.pop_front();
                Ok(())
            }
            Ok(n) => {
                bytes.drain(..n);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// All has come, and all was passed on.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.is_empty()
    }
}
