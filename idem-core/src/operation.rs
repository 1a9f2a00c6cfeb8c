//! Which endpoint or job a key belongs to.

use std::{fmt, sync::Arc};

/// Which endpoint or job a key belongs to: `"POST /payments"`, `"send-invoice"`.
///
/// The name is part of the [`Slot`](crate::Slot), so the same key at two
/// endpoints is two intents. It is also a metric label and a span field:
/// take it from the code (a route template, a job's name), never from a request.
///
/// ```
/// let operation = idem_core::Operation::route("POST", "/orders/{id}");
/// assert_eq!(operation.as_str(), "POST /orders/{id}");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Operation(Arc<str>);

impl Operation {
    /// An operation by name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The default name of an HTTP endpoint: its method and its route's template.
    #[must_use]
    pub fn route(method: &str, template: &str) -> Self {
        let mut name = String::with_capacity(method.len() + 1 + template.len());
        name.push_str(method);
        name.push(' ');
        name.push_str(template);
        Self(name.into())
    }

    /// Whether it is what [`route`](Self::route) makes of these.
    ///
    /// ```
    /// use idem_core::Operation;
    ///
    /// let pay = Operation::route("POST", "/payments");
    /// assert!(pay.is_route("POST", "/payments"));
    /// assert!(!pay.is_route("PUT", "/payments") && !pay.is_route("POST", "/payments/{id}"));
    /// ```
    #[must_use]
    pub fn is_route(&self, method: &str, template: &str) -> bool {
        let rest = self.0.strip_prefix(method);
        let rest = rest.and_then(|rest| rest.strip_prefix(' '));
        rest == Some(template)
    }

    /// The name as a metric's label, which shares it.
    #[cfg(feature = "metrics")]
    pub(crate) fn label(&self) -> metrics::SharedString {
        Arc::clone(&self.0).into()
    }

    /// The operation's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({})", self.0)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for Operation {
    fn from(name: &'static str) -> Self {
        Self::new(name)
    }
}
