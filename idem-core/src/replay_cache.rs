//! How much a process may keep of answers that are recorded elsewhere.

use std::time::Duration;

/// Answers that a process keeps in its own memory, so that it replays them without a
/// round trip to the store: those that it has recorded, and those that the store has
/// told it. Off by default; of no use over the memory store.
///
/// A completed record never changes, so what is replayed from here is what the store
/// has. It is replayed from here
///
/// - for [`max_age`](Self::max_age) since the store was asked, and not beyond the record's ttl:
///   the time is counted from before the question, so it ends before the store's does;
/// - to the same request only: another payload under its key is refused, as ever;
/// - behind the handler's own extractors, as every replay;
/// - as it is stored: a sealed record stays sealed in memory, a compressed one compressed.
///
/// **`max_age` is how long a node may go on replaying what the store has no more**: a record
/// that somebody has deleted there by hand, or that a failover has lost. Beyond it, every
/// node asks the store again. (A process whose whole machine is suspended does not see that
/// time pass.)
///
/// ```
/// use std::time::Duration;
/// use idem_core::{MemoryStore, ReplayCache, Runtime};
///
/// let runtime = Runtime::builder(MemoryStore::new())
///     .replay_cache(ReplayCache { max_bytes: 64 << 20, max_age: Duration::from_secs(10) })
///     .build()?;
/// # Ok::<(), idem_core::PolicyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayCache {
    /// How many bytes the kept answers may take, each with what is needed around it. What
    /// has been asked for least goes first. With 0 nothing is kept.
    pub max_bytes: usize,
    /// How long an answer is replayed without asking the store. With zero nothing is kept.
    pub max_age: Duration,
}
