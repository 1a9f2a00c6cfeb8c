//! A set-up that cannot work, found when the runtime is built.

use std::fmt;

use idem_core::PolicyError;

use crate::handler::Place;

/// Why an [`Idempotency`](crate::Idempotency) or a layer could not be built.
///
/// `Debug` is the same text as `Display`: it is what a program shows whose
/// `main` returns this error.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The runtime's policy protects nothing, or is none that its store can keep.
    #[error("the runtime's policy: {0}")]
    Policy(#[from] PolicyError),
    /// Handlers or layers that cannot be served, all of them.
    #[error("{}", Listed(.0))]
    Endpoints(Vec<EndpointError>),
    /// Two resolvers have the same name.
    #[error("two resolvers are registered for the scope \"{name}\"; remove one")]
    ScopeTwice {
        /// The scope's name.
        name: String,
    },
    /// A name that a resolver cannot have.
    #[error(
        "a resolver cannot be registered as \"{name}\": it is empty or means everybody's scope"
    )]
    ScopeName {
        /// The name.
        name: String,
    },
    /// The documentation's address cannot be sent in a header.
    #[error("the documentation's address {url:?} cannot stand in a Link header; percent-encode it")]
    DocumentationUrl {
        /// The address.
        url: String,
    },
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One handler or layer that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint} ({file}:{line}): {reason}")]
pub struct EndpointError {
    /// Its path, such as `shop::payments::create_payment`.
    pub endpoint: String,
    /// The file it is written in.
    pub file: &'static str,
    /// The line it is written in.
    pub line: u32,
    /// What is wrong.
    pub reason: EndpointProblem,
}

impl EndpointError {
    pub(crate) fn new(place: &Place, reason: EndpointProblem) -> Self {
        let endpoint = if place.module.is_empty() {
            place.name.to_owned()
        } else {
            format!("{}::{}", place.module, place.name)
        };
        Self {
            endpoint,
            file: place.file,
            line: place.line,
            reason,
        }
    }
}

/// Why a handler or layer cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointProblem {
    /// Its scope has no resolver.
    #[error(
        "no resolver is registered for its scope \"{scope}\"{}; register one with \
         `Idempotency::builder(store).scope(\"{scope}\", |parts| …)`",
        Known(.known)
    )]
    UnknownScope {
        /// The scope it names.
        scope: String,
        /// The scopes that have a resolver.
        known: Vec<String>,
    },
    /// What it says and the runtime's policy together protect nothing.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Its key's header is no header name.
    #[error("\"{name}\" cannot be the name of a header")]
    HeaderName {
        /// The name.
        name: String,
    },
    /// It takes a transaction, and the store has none.
    #[error(
        "it takes `{wants}`, but the runtime's store, `{store}`, has no transactions; build the runtime over \
         the store of that database"
    )]
    NoTransactions {
        /// The transaction's type.
        wants: &'static str,
        /// The store's type.
        store: &'static str,
    },
    /// It takes the transaction of another database than the store's.
    #[error(
        "it takes `{wants}`, but the runtime's store, `{store}`, is of another database; take that one's \
         transaction, or build a runtime of its own for this handler, see `IdempotencyBuilder::only_modules`"
    )]
    OtherDatabase {
        /// The transaction's type.
        wants: &'static str,
        /// The store's type.
        store: &'static str,
    },
    /// It takes a transaction and steps, which the store cannot keep while the
    /// transaction is open.
    #[error(
        "it takes `{wants}` and `Steps`, which the runtime's store, `{store}`, has not together: {reason}"
    )]
    StepsInTransaction {
        /// The transaction's type.
        wants: &'static str,
        /// The store's type.
        store: &'static str,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// Two different handlers have the same number, which the attribute draws
    /// from their source text.
    #[error(
        "it cannot be told from {other}; change anything in its text, such as a comment's place"
    )]
    Indistinct {
        /// The other handler.
        other: String,
    },
}

struct Listed<'a>(&'a [EndpointError]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => one.fmt(f),
            all => {
                write!(f, "{} endpoints cannot be served:", all.len())?;
                all.iter().try_for_each(|one| write!(f, "\n  {one}"))
            }
        }
    }
}

struct Known<'a>(&'a [String]);

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str(" (none is registered)"),
            known => write!(f, " (registered: \"{}\")", known.join("\", \"")),
        }
    }
}
