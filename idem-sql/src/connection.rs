//! A connection that is not given back in the middle of something.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use sqlx::{Database, Pool, pool::PoolConnection};

use crate::kept::{Connections, Seat};

/// A connection of a pool. Dropped before it is [done](Self::done), it is closed
/// and not given back: a command may be under way on it, or a transaction open.
///
/// sqlx cleans up behind a dropped future, but waits for the command's end to do
/// so, and forgets a `BEGIN` that was sent and not yet answered.
pub struct Leased<DB: Database> {
    /// `None` only while it is being dropped.
    connection: Option<PoolConnection<DB>>,
    /// Where it is kept when it is done; `None`: in its pool.
    seat: Option<Seat<DB>>,
}

impl<DB: Database> Leased<DB> {
    /// Waits for a connection.
    ///
    /// # Errors
    /// [`sqlx::Error`]: nothing was sent.
    pub async fn from(pool: &Pool<DB>) -> Result<Self, sqlx::Error> {
        let connection = Some(pool.acquire().await?);
        let seat = None;
        Ok(Self { connection, seat })
    }

    /// Waits for one of those that are kept, or a new one.
    ///
    /// # Errors
    /// [`sqlx::Error`]: nothing was sent.
    pub async fn of(connections: &Connections<DB>) -> Result<Self, sqlx::Error> {
        let (connection, seat) = connections.take().await?;
        let connection = Some(connection);
        Ok(Self { connection, seat })
    }

    /// Gives it back: nothing is under way on it.
    pub fn done(mut self) {
        match (self.connection.take(), self.seat.take()) {
            (Some(connection), Some(seat)) => seat.keep(connection),
            (connection, _) => drop(connection),
        }
    }
}

impl<DB: Database> Drop for Leased<DB> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

#[allow(
    clippy::expect_used,
    reason = "the connection is taken by `done` and `drop` only, after which nobody can reach it"
)]
impl<DB: Database> Deref for Leased<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        self.connection.as_ref().expect("it is not given back")
    }
}

#[allow(
    clippy::expect_used,
    reason = "the connection is taken by `done` and `drop` only, after which nobody can reach it"
)]
impl<DB: Database> DerefMut for Leased<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        self.connection.as_mut().expect("it is not given back")
    }
}

impl<DB: Database> fmt::Debug for Leased<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leased").finish_non_exhaustive()
    }
}
