//! What PostgreSQL's errors mean, and why a store could not be set up.

use idem_core::StoreError;
use idem_sql::{NameError, failure::Meaning};
use sqlx::error::DatabaseError;

/// Why there is no [`PostgresStore`](crate::PostgresStore), or its tables are not
/// there. `Debug` is the same text as `Display`: it is what a program shows whose
/// `main` returns this error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The address cannot be read.
    #[error(
        "the address of PostgreSQL cannot be read: {0}; write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    Url(#[source] sqlx::Error),
    /// A name that cannot stand in a statement.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A later version of idem has made the tables, and says that this one must
    /// not use them.
    #[error(
        "the table {table} was made by a later version of idem (schema version {found}; this build knows {known}): \
         update idem, or use another table with `.table(…)`"
    )]
    Newer {
        /// The table of the slots, with its schema.
        table: String,
        /// Its version.
        found: i32,
        /// The newest version that this build knows.
        known: i32,
    },
    /// What the store needs of the server is not so.
    #[error("{0}")]
    Unfit(String),
    /// The server did not do it.
    #[error(
        "PostgreSQL: {0}; is the server running, and are the address, the user and its rights what they should be?"
    )]
    Database(#[from] sqlx::Error),
}

impl std::fmt::Debug for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Codes are SQLSTATEs, see appendix A of PostgreSQL's documentation.
pub(crate) fn meaning(error: &dyn DatabaseError) -> Meaning {
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        "40001" | "40P01" => Meaning::Conflict,
        // Cancelled by our own limits: statement_timeout, lock_timeout.
        "57014" | "55P03" => Meaning::Passing,
        // A standby: the master is elsewhere by now.
        "25006" => Meaning::Passing,
        // The connection was ended, perhaps after the statement.
        "57P01" | "57P02" | "57P05" | "25P03" => Meaning::Lost,
        // Starting up, or no connection, memory or disk to be had.
        "57P03" => Meaning::Passing,
        // The table, its schema, or a column of it is not there.
        "42P01" | "3F000" | "42703" => Meaning::Refused(Some(
            "call `store.migrate()` when the service starts, and look at `.schema(…)` and `.table(…)`"
                .to_owned(),
        )),
        "42501" => Meaning::Refused(Some(
            "the store's user needs SELECT, INSERT, UPDATE and DELETE on its table".to_owned(),
        )),
        "25P02" => Meaning::Refused(Some(
            "a statement of the work has failed and the work went on; PostgreSQL keeps nothing of such a \
             transaction. Answer with an error, or put the statement that may fail into a savepoint: \
             `let mut inner = tx.begin().await?`"
                .to_owned(),
        )),
        code if code.starts_with("08") => Meaning::Lost,
        code if code.starts_with("53") => Meaning::Passing,
        _ => Meaning::Refused(None),
    }
}

/// Of a statement of its own.
pub(crate) fn of_statement(error: sqlx::Error) -> StoreError {
    idem_sql::failure::statement(error, meaning)
}

/// Of a statement within a transaction.
pub(crate) fn in_transaction(error: sqlx::Error) -> StoreError {
    idem_sql::failure::sent(error, meaning)
}

/// Of an attempt to have a connection.
pub(crate) fn of_connecting(error: sqlx::Error) -> StoreError {
    idem_sql::failure::not_sent(error, meaning)
}

/// Of the beginning of a transaction: whatever it is, nothing is claimed.
pub(crate) fn of_beginning(error: sqlx::Error) -> StoreError {
    match in_transaction(error) {
        StoreError::Interrupted(cause) | StoreError::Conflict(cause) => {
            StoreError::Unreachable(cause)
        }
        error => error,
    }
}

/// The transaction that was begun is there no more: no savepoint of ours, or no transaction.
pub(crate) fn is_over(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error
        .and_then(DatabaseError::code)
        .is_some_and(|code| code == "3B001" || code == "25P01")
}

#[cfg(test)]
mod tests {
    use idem_sql::testing::coded as error;

    use super::*;

    #[test]
    fn each_code_is_what_it_means_for_whether_it_was_applied_and_may_be_asked_again() {
        for code in ["40001", "40P01"] {
            assert!(
                matches!(of_statement(error(code)), StoreError::Unreachable(_)),
                "{code}"
            );
            assert!(
                matches!(in_transaction(error(code)), StoreError::Conflict(_)),
                "{code}"
            );
        }
        for code in ["57014", "55P03", "25006", "57P03", "53300", "53100"] {
            assert!(
                matches!(of_statement(error(code)), StoreError::Unreachable(_)),
                "{code}"
            );
        }
        for code in ["57P01", "57P02", "57P05", "25P03", "08006", "08P01"] {
            let told = of_statement(error(code));
            assert!(matches!(told, StoreError::Interrupted(_)), "{code}");
            assert!(
                matches!(of_beginning(error(code)), StoreError::Unreachable(_)),
                "{code}"
            );
        }
        for (code, what_to_do) in [
            ("42P01", "store.migrate()"),
            ("3F000", "store.migrate()"),
            ("42703", "store.migrate()"),
            ("42501", "SELECT, INSERT, UPDATE and DELETE"),
            ("25P02", "savepoint"),
            ("22012", "22012"),
            ("42601", "42601"),
        ] {
            let told = of_statement(error(code));
            assert!(matches!(told, StoreError::Refused { .. }), "{code}");
            assert!(told.to_string().contains(what_to_do), "{code}: {told}");
        }
    }

    #[test]
    fn nothing_was_sent_without_a_connection() {
        for code in ["53300", "57P03", "08006", "40001"] {
            let told = of_connecting(error(code));
            assert!(matches!(told, StoreError::Unreachable(_)), "{code}");
        }
        let told = of_connecting(error("28P01"));
        assert!(matches!(told, StoreError::Refused { .. }), "{told}");
    }

    #[test]
    fn a_transaction_is_over_when_its_savepoint_or_itself_is_not_there() {
        assert!(is_over(&error("3B001")) && is_over(&error("25P01")));
        assert!(!is_over(&error("40001")) && !is_over(&error("3B000")));
        assert!(!is_over(&sqlx::Error::PoolClosed));
    }
}
