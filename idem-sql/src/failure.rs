//! What an error of sqlx means for a verb.

use idem_core::StoreError;
use sqlx::error::DatabaseError;

/// What the database's own refusal means, as far as a store knows its codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// It may pass, and nothing was changed.
    Passing,
    /// The connection ends, and the verb may or may not have been applied.
    Lost,
    /// The transaction gave way to another.
    Conflict,
    /// It will not pass. With what to do about it, where that is known.
    Refused(Option<String>),
}

/// A verb failed on its way to a connection: nothing was sent.
#[must_use]
pub fn not_sent(
    error: sqlx::Error,
    meaning: impl FnOnce(&dyn DatabaseError) -> Meaning,
) -> StoreError {
    match error.as_database_error().map(meaning) {
        Some(Meaning::Refused(hint)) => refused(&error, hint),
        _ => StoreError::Unreachable(Box::new(error)),
    }
}

/// A verb was sent and failed.
#[must_use]
pub fn sent(error: sqlx::Error, meaning: impl FnOnce(&dyn DatabaseError) -> Meaning) -> StoreError {
    match error.as_database_error().map(meaning) {
        Some(Meaning::Passing) => StoreError::Unreachable(Box::new(error)),
        Some(Meaning::Conflict) => StoreError::Conflict(Box::new(error)),
        Some(Meaning::Refused(hint)) => refused(&error, hint),
        Some(Meaning::Lost) => StoreError::Interrupted(Box::new(error)),
        None => match &error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::Decode(_) => refused(
                &error,
                Some("the table is not as this version of idem has made it".to_owned()),
            ),
            _ => StoreError::Interrupted(Box::new(error)),
        },
    }
}

/// As [`sent`], for what is read or written in one statement of its own: giving
/// way to another leaves nothing behind, and it can be asked for again.
#[must_use]
pub fn statement(
    error: sqlx::Error,
    meaning: impl FnOnce(&dyn DatabaseError) -> Meaning,
) -> StoreError {
    match sent(error, meaning) {
        StoreError::Conflict(cause) => StoreError::Unreachable(cause),
        error => error,
    }
}

fn refused(error: &sqlx::Error, hint: Option<String>) -> StoreError {
    let reason = match hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    StoreError::Refused { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_read_is_no_lost_reply() {
        let unread = [
            sqlx::Error::ColumnNotFound("fence".to_owned()),
            sqlx::Error::ColumnIndexOutOfBounds { index: 3, len: 2 },
            sqlx::Error::Decode("no number".into()),
        ];
        for error in unread {
            let told = sent(error, |_| Meaning::Lost);
            assert!(matches!(told, StoreError::Refused { .. }), "{told}");
            assert!(told.to_string().contains("this version of idem"), "{told}");
        }
        let told = sent(sqlx::Error::WorkerCrashed, |_| Meaning::Lost);
        assert!(matches!(told, StoreError::Interrupted(_)), "{told}");
    }
}
