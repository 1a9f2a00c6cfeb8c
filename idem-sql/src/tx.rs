//! The transaction that a handler takes.

use std::{
    error::Error,
    fmt,
    ops::{Deref, DerefMut},
};

use idem_core::{Lent, TransactionHandle};
use sqlx::{Database, error::DatabaseError};

use crate::OpenTransaction;

/// The transaction in which a handler's own statements and its recorded answer
/// commit together: *exactly once*, for effects in that database.
///
/// It stands for the database's connection: `&mut *tx` is the executor of a
/// query, and `tx.begin()` (of [`sqlx::Acquire`] or [`sqlx::Connection`]) makes a
/// savepoint. It has no `commit` and no `rollback`: the framework commits when
/// the handler has answered, and rolls the handler's writes back when it answers
/// with an error.
///
/// Send no `COMMIT` or `ROLLBACK` by hand, and let nothing have it that outlives
/// the handler: such an execution is not committed.
pub struct Tx<DB: Database>(Lent<OpenTransaction<DB>>);

/// A database that a [`Tx`] can be of.
#[diagnostic::on_unimplemented(
    message = "idem has no store over `{Self}`, so a handler cannot take its transaction",
    label = "the record commits in the store's database: `Tx<Postgres>` or `Tx<Sqlite>`"
)]
pub trait TxDatabase: Database {
    /// What its `Tx` is called in messages: `Tx<Postgres>`.
    const TX: &'static str;

    /// Whether the database chose the transaction to give way to another: a
    /// serialization failure, a deadlock.
    fn is_conflict(error: &dyn DatabaseError) -> bool;
}

#[cfg(feature = "postgres")]
impl TxDatabase for sqlx::Postgres {
    const TX: &'static str = "Tx<Postgres>";

    /// `serialization_failure`, `deadlock_detected`.
    fn is_conflict(error: &dyn DatabaseError) -> bool {
        error
            .code()
            .is_some_and(|code| code == "40001" || code == "40P01")
    }
}

#[cfg(feature = "sqlite")]
impl TxDatabase for sqlx::Sqlite {
    const TX: &'static str = "Tx<Sqlite>";

    /// `SQLITE_BUSY` with its extended codes: a handler's transaction has the
    /// write lock from the beginning, so it does not meet them.
    fn is_conflict(error: &dyn DatabaseError) -> bool {
        error
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| code & 0xff == 5)
    }
}

impl<DB: TxDatabase> TransactionHandle for Tx<DB> {
    type Transaction = OpenTransaction<DB>;

    const NAME: &'static str = DB::TX;

    fn new(transaction: Lent<OpenTransaction<DB>>) -> Self {
        Self(transaction)
    }

    fn is_conflict(error: &(dyn Error + 'static)) -> bool {
        error
            .downcast_ref::<sqlx::Error>()
            .and_then(sqlx::Error::as_database_error)
            .is_some_and(DB::is_conflict)
    }
}

impl<DB: Database> Deref for Tx<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.0
    }
}

impl<DB: Database> DerefMut for Tx<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.0
    }
}

impl<DB: Database> AsMut<DB::Connection> for Tx<DB> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        &mut self.0
    }
}

impl<DB: Database> fmt::Debug for Tx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}

#[cfg(all(test, feature = "postgres", feature = "sqlite"))]
mod tests {
    use sqlx::{Postgres, Sqlite};

    use super::*;
    use crate::testing::coded;

    #[test]
    fn a_conflict_is_known_by_the_databases_own_codes() {
        let of = |code| {
            (
                Tx::<Postgres>::is_conflict(&coded(code)),
                Tx::<Sqlite>::is_conflict(&coded(code)),
            )
        };
        for code in ["40001", "40P01"] {
            assert_eq!(of(code), (true, false), "{code}");
        }
        // SQLITE_BUSY, and SQLITE_BUSY_SNAPSHOT.
        for code in ["5", "517"] {
            assert_eq!(of(code), (false, true), "{code}");
        }
        for code in ["23505", "6", "262", "five", ""] {
            assert_eq!(of(code), (false, false), "{code}");
        }
        assert!(!Tx::<Postgres>::is_conflict(&sqlx::Error::PoolClosed));
        assert!(!Tx::<Sqlite>::is_conflict(&fmt::Error));
    }
}
