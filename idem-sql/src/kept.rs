//! Connections that go from one statement to the next without their pool.
//!
//! sqlx asks the server on every return whether a connection still is one: a round trip and a
//! task for each statement, as much as the statement takes itself. A [`Leased`](crate::Leased)
//! that is done has nothing under way, so there is nothing to ask.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Database, Pool, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// After so long the pool has it back for once, and sees to its longest lifetime.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// Connections of one pool.
pub struct Connections<DB: Database> {
    pool: Pool<DB>,
    kept: Option<Arc<Kept<DB>>>,
}

/// Those that nothing is done with, the last one that was used at the end.
struct Kept<DB: Database> {
    free: Mutex<Vec<Free<DB>>>,
    /// As many as the pool has connections: whoever has a seat and finds none free is given
    /// one by the pool, because whatever it has handed out is free here or has a seat.
    seats: Arc<Semaphore>,
    idle_timeout: Option<Duration>,
}

struct Free<DB: Database> {
    connection: PoolConnection<DB>,
    /// When the pool has given it out.
    from_pool: Instant,
    used: Instant,
}

/// The right to one connection.
pub(crate) struct Seat<DB: Database> {
    kept: Arc<Kept<DB>>,
    from_pool: Instant,
    _permit: OwnedSemaphorePermit,
}

impl<DB: Database> Connections<DB> {
    /// All of a pool that nobody else takes connections from: they are kept here.
    #[must_use]
    pub fn all_of(pool: Pool<DB>) -> Self {
        let options = pool.options();
        let kept = Arc::new(Kept {
            free: Mutex::default(),
            seats: Arc::new(Semaphore::new(options.get_max_connections() as usize)),
            idle_timeout: options.get_idle_timeout(),
        });
        let kept = Some(kept);
        Self { pool, kept }
    }

    /// Some of a pool that others take connections from, too: each goes back.
    #[must_use]
    pub const fn shared_with_others(pool: Pool<DB>) -> Self {
        Self { pool, kept: None }
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.pool.size()
    }

    pub(crate) async fn take(&self) -> Result<(PoolConnection<DB>, Option<Seat<DB>>), sqlx::Error> {
        let Some(kept) = &self.kept else {
            return Ok((self.pool.acquire().await?, None));
        };
        let permit = match Arc::clone(&kept.seats).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let permit = Arc::clone(&kept.seats).acquire_owned();
                let limit = self.pool.options().get_acquire_timeout();
                let permit = timeout(limit, permit).await;
                let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
                permit.map_err(|_| sqlx::Error::PoolClosed)?
            }
        };
        let (connection, from_pool) = match kept.pop() {
            Some(free) => (free.connection, free.from_pool),
            None => (self.pool.acquire().await?, Instant::now()),
        };
        let kept = Arc::clone(kept);
        let _permit = permit;
        Ok((
            connection,
            Some(Seat {
                kept,
                from_pool,
                _permit,
            }),
        ))
    }
}

impl<DB: Database> Kept<DB> {
    fn lock(&self) -> MutexGuard<'_, Vec<Free<DB>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stale(&self, free: &Free<DB>) -> bool {
        self.idle_timeout
            .is_some_and(|limit| free.used.elapsed() > limit)
    }

    /// The one that was used last. If that was long ago, all of them are closed: what stands
    /// between here and the server may have forgotten them without a word.
    fn pop(&self) -> Option<Free<DB>> {
        let mut free = self.lock();
        let last = free.pop()?;
        if !self.is_stale(&last) {
            return Some(last);
        }
        let stale = std::mem::take(&mut *free);
        drop(free);
        stale.into_iter().chain([last]).for_each(close);
        None
    }
}

impl<DB: Database> Seat<DB> {
    /// Keeps the connection for whoever takes a seat next.
    pub(crate) fn keep(self, connection: PoolConnection<DB>) {
        let Self {
            kept, from_pool, ..
        } = &self;
        if from_pool.elapsed() > KEPT_FOR {
            // Dropped, it goes back to its pool.
            return;
        }
        let mut free = kept.lock();
        free.push(Free {
            connection,
            from_pool: *from_pool,
            used: Instant::now(),
        });
        // One at a time: a crowd that has gone does not come back at once.
        let surplus = free.first().is_some_and(|first| kept.is_stale(first));
        let surplus = surplus.then(|| free.remove(0));
        drop(free);
        if let Some(surplus) = surplus {
            close(surplus);
        }
    }
}

fn close<DB: Database>(free: Free<DB>) {
    let mut connection = free.connection;
    connection.close_on_drop();
}

impl<DB: Database> Drop for Kept<DB> {
    fn drop(&mut self) {
        // Going back to the pool is a task, and there may be no tokio runtime any more.
        for free in self.lock().drain(..) {
            drop(free.connection.detach());
        }
    }
}

impl<DB: Database> fmt::Debug for Connections<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
