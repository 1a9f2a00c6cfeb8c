//! The isolation of handlers' transactions.

/// How far a handler's transaction is isolated from others,
/// [PostgreSQL §13.2](https://www.postgresql.org/docs/current/transaction-iso.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Isolation {
    /// What the server or the session says: `READ COMMITTED`, usually.
    #[default]
    Default,
    /// `READ COMMITTED`: each statement sees what was committed before it began.
    ReadCommitted,
    /// `REPEATABLE READ`: one snapshot; may give way to another transaction.
    RepeatableRead,
    /// `SERIALIZABLE`: as if one ran after the other; may give way to another transaction.
    Serializable,
}

pub(crate) const NEEDS_READ_COMMITTED: &str = "steps are kept while the transaction is open, which only READ COMMITTED \
    lets it complete after: a stricter transaction would always give way; take `Steps` and `Tx` in handlers of a store \
    that is built with `.isolation(Isolation::ReadCommitted)`, and lock what is read with SELECT … FOR UPDATE";

impl Isolation {
    /// Why a transaction of this level cannot be open while steps are kept.
    pub(crate) const fn refuses_steps(self) -> Option<&'static str> {
        match self {
            Self::Default | Self::ReadCommitted => None,
            Self::RepeatableRead | Self::Serializable => Some(NEEDS_READ_COMMITTED),
        }
    }

    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Self::Default => "BEGIN",
            Self::ReadCommitted => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Self::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Self::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }
}
