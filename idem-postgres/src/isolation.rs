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

impl Isolation {
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Self::Default => "BEGIN",
            Self::ReadCommitted => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Self::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Self::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }
}
