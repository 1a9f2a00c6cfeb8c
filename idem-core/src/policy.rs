//! How keys are treated: the runtime's policy, one operation's overrides, and
//! the settings that result.

use std::time::Duration;

use crate::{OnCrash, Retention};

/// The longest time a record can be promised: 400 days.
pub const MAX_TTL: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// What happens to a request when the store does not answer its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnStoreError {
    /// It is refused and does not run: nothing happens twice.
    #[default]
    FailClosed,
    /// It runs without protection, and its answer says so.
    FailOpen,
}

/// The runtime's defaults, for operations that do not say otherwise.
///
/// ```
/// use std::time::Duration;
/// use idem_core::Policy;
///
/// let policy = Policy { lease: Duration::from_secs(10), ..Policy::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a completed record is promised. 24 hours.
    pub ttl: Duration,
    /// How long it is kept after that. 24 hours.
    pub grace: Duration,
    /// How long an owner may stay silent. It is renewed every third of it. 30 seconds.
    pub lease: Duration,
    /// How long a duplicate waits for the first request to end. Zero: it is
    /// told at once that the first is in progress.
    pub wait: Duration,
    /// What becomes of a slot whose owner fell silent. [`OnCrash::TakeOver`].
    pub on_crash: OnCrash,
    /// What becomes of a request when the store does not answer. [`OnStoreError::FailClosed`].
    pub store_error: OnStoreError,
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            ttl: DAY,
            grace: DAY,
            lease: Duration::from_secs(30),
            wait: Duration::ZERO,
            on_crash: OnCrash::TakeOver,
            store_error: OnStoreError::FailClosed,
        }
    }
}

/// What one operation says; `None` leaves it to the [`Policy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// See [`Policy::ttl`].
    pub ttl: Option<Duration>,
    /// See [`Policy::grace`].
    pub grace: Option<Duration>,
    /// See [`Policy::lease`].
    pub lease: Option<Duration>,
    /// See [`Policy::wait`].
    pub wait: Option<Duration>,
    /// See [`Policy::on_crash`].
    pub on_crash: Option<OnCrash>,
    /// See [`Policy::store_error`].
    pub store_error: Option<OnStoreError>,
}

impl Overrides {
    /// Nothing is overridden.
    pub const NONE: Self = Self {
        ttl: None,
        grace: None,
        lease: None,
        wait: None,
        on_crash: None,
        store_error: None,
    };
}

/// How the keys of one operation are treated: checked, nothing left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub(crate) retention: Retention,
    pub(crate) lease: Duration,
    pub(crate) wait: Duration,
    pub(crate) on_crash: OnCrash,
    pub(crate) store_error: OnStoreError,
}

impl Settings {
    /// How long records are kept.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        self.retention
    }
}

impl Policy {
    /// Puts an operation's overrides over this policy.
    ///
    /// # Errors
    /// [`PolicyError`] when the result cannot protect anything.
    pub fn resolve(&self, overrides: &Overrides) -> Result<Settings, PolicyError> {
        let ttl = overrides.ttl.unwrap_or(self.ttl);
        let grace = overrides.grace.unwrap_or(self.grace);
        let lease = overrides.lease.unwrap_or(self.lease);
        if ttl.is_zero() {
            return Err(PolicyError::ZeroTtl);
        }
        if ttl > MAX_TTL {
            return Err(PolicyError::LongTtl { ttl });
        }
        if grace > MAX_TTL {
            return Err(PolicyError::LongGrace { grace });
        }
        if lease < MIN_LEASE {
            return Err(PolicyError::ShortLease { lease });
        }
        if lease >= ttl {
            return Err(PolicyError::LeaseNotBelowTtl { lease, ttl });
        }
        Ok(Settings {
            retention: Retention { ttl, grace },
            lease,
            wait: overrides.wait.unwrap_or(self.wait),
            on_crash: overrides.on_crash.unwrap_or(self.on_crash),
            store_error: overrides.store_error.unwrap_or(self.store_error),
        })
    }
}

/// Below this a heartbeat could not keep up.
const MIN_LEASE: Duration = Duration::from_millis(10);

/// A policy that cannot protect anything, or that the store cannot keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A record would be gone before any retry.
    #[error("the ttl is zero, so no retry would ever be recognised; use at least 1s")]
    ZeroTtl,
    /// Longer than [`MAX_TTL`].
    #[error("the ttl of {ttl:?} is longer than 400 days")]
    LongTtl {
        /// The ttl.
        ttl: Duration,
    },
    /// Longer than [`MAX_TTL`].
    #[error("the grace of {grace:?} is longer than 400 days")]
    LongGrace {
        /// The grace.
        grace: Duration,
    },
    /// A heartbeat could not keep up.
    #[error("the lease of {lease:?} is too short to be renewed; use at least 10ms")]
    ShortLease {
        /// The lease.
        lease: Duration,
    },
    /// A record could expire while its owner may still be silent.
    #[error(
        "the lease of {lease:?} is not shorter than the ttl of {ttl:?}; \
         the lease is how long a crashed execution blocks retries, so use seconds"
    )]
    LeaseNotBelowTtl {
        /// The lease.
        lease: Duration,
        /// The ttl.
        ttl: Duration,
    },
    /// The store cannot look for a key under two secrets.
    #[error(
        "a second secret cannot be accepted over {store}: {reason}; \
         rotate the secret over a store that can, or leave it as it is"
    )]
    SecondSecret {
        /// The store's type.
        store: &'static str,
        /// Why it cannot.
        reason: &'static str,
    },
    /// [`Limits`](crate::Limits) that let nothing run.
    #[error("the limit of {limit} is 0, so nothing would ever run; leave it out for no limit")]
    ZeroLimit {
        /// `"live-claims"` or `"stored-bytes"`.
        limit: &'static str,
    },
    /// What a scope stores is to be limited, and the store cannot count it.
    #[error(
        "stored_bytes is limited, and the runtime's store, `{store}`, keeps no meters; implement \
         `Store::spend` and `Store::meters` for it, or leave the limit out"
    )]
    Unmetered {
        /// The store's type.
        store: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(overrides: Overrides) -> Result<Settings, PolicyError> {
        Policy::default().resolve(&overrides)
    }

    #[test]
    fn overrides_win_and_the_rest_is_the_policys() {
        let settings = resolve(Overrides {
            ttl: Some(Duration::from_secs(60)),
            ..Overrides::NONE
        })
        .unwrap();
        assert_eq!(settings.retention.ttl, Duration::from_secs(60));
        assert_eq!(settings.lease, Policy::default().lease);
    }

    #[test]
    fn the_longest_ttl_and_grace_are_400_days() {
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        let both = |length| Overrides {
            ttl: Some(length),
            grace: Some(length),
            ..Overrides::NONE
        };
        assert!(resolve(both(days(400))).is_ok());
        assert!(resolve(both(days(400) + Duration::from_millis(1))).is_err());
    }

    #[test]
    fn settings_that_protect_nothing_are_refused() {
        let ttl = |ttl| Overrides {
            ttl: Some(ttl),
            ..Overrides::NONE
        };
        let lease = |lease| Overrides {
            lease: Some(lease),
            ..Overrides::NONE
        };
        assert_eq!(resolve(ttl(Duration::ZERO)), Err(PolicyError::ZeroTtl));
        assert!(matches!(
            resolve(ttl(Duration::MAX)),
            Err(PolicyError::LongTtl { .. })
        ));
        assert!(matches!(
            resolve(ttl(Policy::default().lease)),
            Err(PolicyError::LeaseNotBelowTtl { .. })
        ));
        assert!(matches!(
            resolve(lease(MIN_LEASE - Duration::from_nanos(1))),
            Err(PolicyError::ShortLease { .. })
        ));
        assert!(resolve(lease(MIN_LEASE)).is_ok());
        assert!(matches!(
            resolve(Overrides {
                grace: Some(Duration::MAX),
                ..Overrides::NONE
            }),
            Err(PolicyError::LongGrace { .. })
        ));
    }
}
