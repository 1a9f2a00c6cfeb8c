//! How a test lets time pass on the clock of its store.

use std::time::Duration;

/// How a test lets time pass on the clock of its store.
///
/// The store's clock is the only one that counts. [`MemoryStore`](crate::MemoryStore) reads
/// tokio's, which a test can pause; a server has a clock of its own, and a test can only wait.
/// Tests therefore measure in ticks, and each kind of store says how long one is.
///
/// ```
/// use std::time::Duration;
/// use idem_core::testing::TestClock;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// tokio::time::pause(); // or #[tokio::test(start_paused = true)]
/// let clock = TestClock::paused();
/// let before = tokio::time::Instant::now();
/// clock.pass(Duration::from_secs(24 * 60 * 60)).await; // takes no time
/// assert!(before.elapsed() >= Duration::from_secs(24 * 60 * 60));
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestClock {
    tick: Duration,
}

impl TestClock {
    /// Tokio's clock, paused by the test: a tick is a second and takes no time.
    /// Pausing needs tokio's feature `test-util` in your dev-dependencies.
    #[must_use]
    pub const fn paused() -> Self {
        Self {
            tick: Duration::from_secs(1),
        }
    }

    /// A clock that cannot be paused. A tick has to be many times as long as a
    /// round trip to the store on a busy machine: 100 ms is good on one host.
    #[must_use]
    pub const fn real(tick: Duration) -> Self {
        Self { tick }
    }

    /// The length of so many ticks.
    #[must_use]
    pub const fn ticks(self, count: u32) -> Duration {
        self.tick.saturating_mul(count)
    }

    /// Lets time pass. On a paused clock whatever else is due meanwhile
    /// happens in its order, as it would on a real one.
    pub async fn pass(self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
