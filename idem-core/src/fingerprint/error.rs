//! What can go wrong while a value is turned into its canonical form.

use std::fmt;

/// Why a value has no fingerprint.
///
/// ```
/// use idem_core::fingerprint::{FingerprintBuilder, FingerprintError};
/// use serde::{Serialize, Serializer, ser::Error};
///
/// struct Sealed;
///
/// impl Serialize for Sealed {
///     fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
///         Err(S::Error::custom("sealed"))
///     }
/// }
///
/// let refused = FingerprintBuilder::new().typed(&Sealed).map(|_| ());
/// assert_eq!(refused, Err(FingerprintError::Custom("sealed".into())));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// The value is nested more deeply than the canonical form allows.
    #[error("the value is nested more than {limit} levels deep")]
    TooDeep {
        /// The number of nested sequences, maps and variants that is allowed.
        limit: usize,
    },
    /// The value's `Serialize` implementation broke serde's rules, for example by giving a map
    /// value without its key, or by carrying on after a nested value had failed.
    #[error("the value's `Serialize` implementation broke a rule of serde: {0}")]
    Contract(&'static str),
    /// The value's `Serialize` implementation reported an error of its own.
    #[error("the value could not be serialized: {0}")]
    Custom(String),
}

/// The same on its way through the value: a pointer, because every result on the way has room for
/// it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Refusal(Box<FingerprintError>);

impl From<FingerprintError> for Refusal {
    #[cold]
    fn from(error: FingerprintError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Refusal> for FingerprintError {
    fn from(Refusal(error): Refusal) -> Self {
        *error
    }
}

impl serde::ser::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        FingerprintError::Custom(message.to_string()).into()
    }
}
