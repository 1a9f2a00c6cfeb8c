//! What SQLite's errors mean, and why a store could not be set up.

use std::{
    io,
    path::{Path, PathBuf},
};

use idem_core::StoreError;
use idem_sql::{NameError, failure::Meaning};
use sqlx::error::DatabaseError;

/// Why there is no [`SqliteStore`](crate::SqliteStore), or its tables are not there.
/// `Debug` is the same text as `Display`: it is what a program shows whose `main`
/// returns this error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The address cannot be read.
    #[error("the address of the SQLite file cannot be read: {0}; write sqlite:PATH")]
    Url(#[source] sqlx::Error),
    /// A database that ends with the process.
    #[error(
        "a SQLite database in memory is gone with the process, and each connection has its own; \
         name a file, or use `MemoryStore`"
    )]
    InMemory,
    /// A name that cannot stand in a statement.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A name that SQLite keeps for itself.
    #[error(
        "a table cannot be called {name:?}: names that begin with sqlite_ are SQLite's own; \
         use another one with `.table(…)`"
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// The file cannot be made.
    #[error("the file {} cannot be opened or made: {error}{}", .path.display(), remedy(.error))]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The file is something else.
    #[error("the file {} is no SQLite database, or is encrypted or damaged; name another file", .path.display())]
    NotADatabase {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        error: sqlx::Error,
    },
    /// SQLite cannot open it.
    #[error(
        "the file {} cannot be opened: name a file (not a directory) which this process may read and write, as it \
         must its directory, for the log beside it",
        .path.display()
    )]
    CannotOpen {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        error: sqlx::Error,
    },
    /// The file may be read only.
    #[error(
        "the file {} can only be read, and claims are written to it: the file and its directory (for the log beside it) \
         must be writable by this process, and the address must say neither mode=ro nor immutable",
        .path.display()
    )]
    ReadOnly {
        /// Which file.
        path: PathBuf,
    },
    /// A later version of idem has made the tables, and says that this one must
    /// not use them.
    #[error(
        "the table {table} was made by a later version of idem (schema version {found}; this build knows {known}): \
         update idem, or use another table with `.table(…)`"
    )]
    Newer {
        /// The table of the slots.
        table: String,
        /// Its version.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// The file's place has no write-ahead log.
    #[error(
        "the file's journal is {found:?} and cannot be the write-ahead log, without which readers and the writer \
         block each other; put it on a local disk, not on a network's"
    )]
    NoWriteAheadLog {
        /// What the journal is.
        found: String,
    },
    /// SQLite did not do it.
    #[error("SQLite: {0}")]
    Database(#[from] sqlx::Error),
}

impl std::fmt::Debug for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; make its directory first",
        io::ErrorKind::PermissionDenied => "; its directory must be writable by this process",
        _ => "",
    }
}

/// The kind of a result code, which is its lowest byte; what is above it are details.
fn kind(error: &dyn DatabaseError) -> Option<u32> {
    let code = error.code()?.parse::<u32>().ok()?;
    Some(code & 0xff)
}

/// Another process is writing.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(kind) == Some(BUSY)
}

/// Of the first use of a file, which is known to be there.
pub(crate) fn of_opening(path: &Path, error: sqlx::Error) -> SetupError {
    let path = path.to_owned();
    match error.as_database_error().and_then(kind) {
        Some(READONLY) => SetupError::ReadOnly { path },
        Some(NOTADB) => SetupError::NotADatabase { path, error },
        Some(CANTOPEN) => SetupError::CannotOpen { path, error },
        _ => SetupError::Database(error),
    }
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const INTERRUPT: u32 = 9;
const IOERR: u32 = 10;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;

/// Codes are SQLite's result codes, <https://www.sqlite.org/rescode.html>.
pub(crate) fn meaning(error: &dyn DatabaseError) -> Meaning {
    match kind(error) {
        Some(BUSY | LOCKED | INTERRUPT | CANTOPEN) => Meaning::Passing,
        Some(IOERR) => Meaning::Lost,
        Some(FULL) => Meaning::Refused(Some("the disk is full".to_owned())),
        _ if error.message().starts_with("no such table") => Meaning::Refused(Some(
            "call `store.migrate()` when the service starts, and look at `.table(…)`".to_owned(),
        )),
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
    match of_statement(error) {
        StoreError::Interrupted(cause) => StoreError::Unreachable(cause),
        error => error,
    }
}

/// The savepoint that was made is there no more.
pub(crate) fn is_over(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message().starts_with("no such savepoint"))
}

#[cfg(test)]
mod tests {
    use idem_sql::testing::coded;

    use super::*;

    /// What was written may be there or not: SQLite itself does not know.
    #[test]
    fn a_disk_that_fails_leaves_open_whether_it_was_applied() {
        // SQLITE_IOERR, and SQLITE_IOERR_FSYNC.
        for code in ["10", "1034"] {
            let told = in_transaction(coded(code));
            assert!(matches!(told, StoreError::Interrupted(_)), "{told}");
            let told = of_beginning(coded(code));
            assert!(matches!(told, StoreError::Unreachable(_)), "{told}");
        }
    }

    #[test]
    fn a_writer_that_is_busy_is_known_by_the_kind_of_its_code() {
        // SQLITE_BUSY, and SQLITE_BUSY_RECOVERY.
        assert!(is_busy(&coded("5")) && is_busy(&coded("261")));
        for code in ["6", "10", "five"] {
            assert!(!is_busy(&coded(code)), "{code}");
        }
        assert!(!is_busy(&sqlx::Error::PoolClosed));
    }

    #[test]
    fn a_transaction_is_over_when_its_savepoint_is_not_there() {
        assert!(is_over(&coded("no such savepoint: idem_work")));
        assert!(!is_over(&coded("10")) && !is_over(&sqlx::Error::PoolClosed));
    }
}
