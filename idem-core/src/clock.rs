//! Arithmetic on tokio's clock that cannot overflow.

use std::time::Duration;

use tokio::time::Instant;

/// `from + duration`; a duration beyond what the clock can hold is a century,
/// which no lease, ttl or deadline outlives.
pub(crate) fn after(from: Instant, duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    from.checked_add(duration).unwrap_or(from + CENTURY)
}
