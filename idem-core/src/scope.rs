//! Whose key it is.

use std::{borrow::Cow, fmt};

/// Whose key it is: two scopes never see each other's records.
///
/// `Debug` shows the scope's name but not its value, which is a user's or
/// tenant's id.
///
/// ```
/// use idem_core::Scope;
///
/// let ana = Scope::new("user", "ana")?;
/// assert_eq!(format!("{ana:?}"), "Scope(user)");
/// # Ok::<(), idem_core::ScopeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    name: Cow<'static, str>,
    value: Cow<'static, str>,
}

impl Scope {
    /// One scope for everybody: keys must then be unguessable and unique across all callers.
    pub const GLOBAL: Self = Self {
        name: Cow::Borrowed("global"),
        value: Cow::Borrowed(""),
    };

    /// The scope `value` (an id) of the kind `name` (`"user"`, `"tenant"`, …).
    ///
    /// # Errors
    /// [`ScopeError`] when either is empty: an id that is missing must never
    /// become a scope which everybody without an id shares.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ScopeError> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() {
            return Err(ScopeError::EmptyName);
        }
        if value.is_empty() {
            return Err(ScopeError::EmptyValue { name });
        }
        Ok(Self { name, value })
    }

    /// The kind of scope: `"user"`, `"tenant"`, `"global"`, …
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.name)
    }
}

/// A scope that would be shared by accident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// The kind of scope has no name.
    #[error("a scope needs a name, such as \"user\" or \"tenant\"")]
    EmptyName,
    /// The id is the empty string.
    #[error(
        "the scope \"{name}\" resolved to an empty value, which every caller without an id would share"
    )]
    EmptyValue {
        /// The scope's name.
        name: Cow<'static, str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_never_a_scope() {
        assert!(matches!(
            Scope::new("user", ""),
            Err(ScopeError::EmptyValue { .. })
        ));
        assert_eq!(Scope::new("", "ana"), Err(ScopeError::EmptyName));
    }
}
