//! Why what is stored does not open.

use std::fmt;

use super::{KeyId, RecordError};

/// Why a stored record or recovery point does not open, see `idem_core::encryption` and
/// `idem_core::Compression`.
/// Nothing of it was used, and nothing runs in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {reason}", Subject(.step.as_deref()))]
#[non_exhaustive]
pub struct OpenError {
    /// The step whose result it is; `None` for the record.
    pub step: Option<String>,
    /// What is wrong.
    pub reason: Unopened,
}

impl OpenError {
    pub(crate) const fn of(step: Option<String>, reason: Unopened) -> Self {
        Self { step, reason }
    }

    /// The key that it says it is sealed under, if it says so.
    #[must_use]
    pub const fn key(&self) -> Option<&KeyId> {
        match &self.reason {
            Unopened::NoKeyring { key }
            | Unopened::UnknownKey { key }
            | Unopened::Altered { key } => Some(key),
            Unopened::NotSealed | Unopened::Compressed | Unopened::Malformed(_) => None,
        }
    }
}

/// What is wrong with what does not open, and what an operator does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unopened {
    /// It is sealed, and this process has no keys.
    #[error(
        "is sealed under the key \"{key}\", and this process has no keys; give its runtime a keyring with this \
         key (the builder's `encryption`, of the feature `encryption`)"
    )]
    NoKeyring {
        /// Which key.
        key: KeyId,
    },
    /// It is sealed under a key that this process has not.
    #[error(
        "is sealed under the key \"{key}\", which is not in this process's keyring; give it the key with \
         `Keyring::also_reads`, and drop a key only when nothing is kept any more that is sealed under it"
    )]
    UnknownKey {
        /// Which key.
        key: KeyId,
    },
    /// It is not sealed, and this process seals what it writes.
    #[error(
        "is not sealed, and this process has a keyring; if it was written before there were keys, say \
         `Keyring::reads_unsealed` until the last of these is deleted; if not, somebody else has written it"
    )]
    NotSealed,
    /// It is not what was sealed under this key for this place.
    #[error(
        "does not open with the key \"{key}\": it was altered, or sealed for another slot, request or step, or by \
         another key of the same name; find out who writes to the store, and restore what was there"
    )]
    Altered {
        /// The key that it says.
        key: KeyId,
    },
    /// It is compressed, and this build cannot expand it.
    #[error(
        "is compressed, and this process was built without what expands it; enable the feature `compression` (of \
         idem-axum, or of idem-core) in every process that uses this store"
    )]
    Compressed,
    /// It is not whole.
    #[error("is damaged: {0}")]
    Malformed(RecordError),
}

impl Unopened {
    /// In a word, for metrics.
    #[cfg(feature = "metrics")]
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::NoKeyring { .. } => "no_keyring",
            Self::UnknownKey { .. } => "unknown_key",
            Self::NotSealed => "not_sealed",
            Self::Altered { .. } => "altered",
            Self::Compressed => "compressed",
            Self::Malformed(_) => "malformed",
        }
    }
}

struct Subject<'a>(Option<&'a str>);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the record"),
            Some(step) => write!(f, "the result of the step {step:?}"),
        }
    }
}
