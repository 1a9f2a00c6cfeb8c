//! The store's tables: their names, how they are made, and which version they are.

use std::fmt;

use idem_sql::{Leased, checked_name};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, SqlitePool, raw_sql};

use crate::SetupError;

/// What made the tables what they are, oldest first. A table is as old as the
/// number of those that it has seen.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/1_slots.sql"),
    include_str!("migrations/2_reap.sql"),
    include_str!("migrations/3_meters.sql"),
];

/// The version that this build makes and works with.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// The oldest version of these tables that builds may know who still work with
/// [`VERSION`].
const WORKS_WITH: i64 = 1;

/// What the tables are called. The name is checked: it goes into statements.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    table: String,
    slots: String,
    meters: String,
    versions: String,
}

impl Names {
    pub(crate) fn new(table: &str) -> Result<Self, SetupError> {
        let table = checked_name(table)?;
        if table.starts_with("sqlite_") {
            return Err(SetupError::Reserved {
                name: table.to_owned(),
            });
        }
        Ok(Self {
            slots: format!("\"{table}\""),
            meters: format!("\"{table}_meters\""),
            versions: format!("\"{table}_version\""),
            table: table.to_owned(),
        })
    }

    /// The table of the slots, as a statement names it.
    pub(crate) fn slots(&self) -> &str {
        &self.slots
    }

    /// The table of what scopes have stored.
    pub(crate) fn meters(&self) -> &str {
        &self.meters
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)
    }
}

/// What the database has, against what this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Absent,
    Older,
    Current,
}

/// Looks at the tables without changing anything.
pub(crate) async fn look(pool: &SqlitePool, names: &Names) -> Result<Found, SetupError> {
    let mut connection = Leased::from(pool).await?;
    let found = found(&mut connection, names).await?;
    connection.done();
    Ok(found)
}

async fn found(connection: &mut SqliteConnection, names: &Names) -> Result<Found, SetupError> {
    let is_there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)",
    )
    .bind(format!("{}_version", names.table))
    .fetch_one(&mut *connection)
    .await?;
    if !is_there {
        return Ok(Found::Absent);
    }
    let select = format!("SELECT version, works_with FROM {}", names.versions);
    let (version, works_with): (i64, i64) = sqlx::query_as(AssertSqlSafe(select))
        .fetch_one(connection)
        .await?;
    if works_with > VERSION {
        return Err(SetupError::Newer {
            table: names.to_string(),
            found: version,
            known: VERSION,
        });
    }
    Ok(if version < VERSION {
        Found::Older
    } else {
        Found::Current
    })
}

/// Makes the tables, or brings them up to date, in one transaction: of many
/// processes that do it at once, one does it and the others wait for it.
pub(crate) async fn migrate(
    pool: &SqlitePool,
    names: &Names,
    target: i64,
) -> Result<(), SetupError> {
    let Names {
        table,
        slots,
        meters,
        versions,
    } = names;
    let mut connection = Leased::from(pool).await?;
    // Where nothing is to do, a service need not wait for the writer to start.
    if target == VERSION && found(&mut connection, names).await? == Found::Current {
        connection.done();
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut done: i64 = match found(&mut transaction, names).await? {
        Found::Absent => {
            let create = format!(
                "CREATE TABLE {versions} (one INTEGER PRIMARY KEY CHECK (one = 1), \
                 version INTEGER NOT NULL, works_with INTEGER NOT NULL) STRICT; \
                 INSERT INTO {versions} VALUES (1, 0, 0)"
            );
            raw_sql(AssertSqlSafe(create))
                .execute(&mut *transaction)
                .await?;
            0
        }
        Found::Older | Found::Current => {
            let select = format!("SELECT version FROM {versions}");
            sqlx::query_scalar(AssertSqlSafe(select))
                .fetch_one(&mut *transaction)
                .await?
        }
    };
    for (number, migration) in (1..=target).zip(MIGRATIONS) {
        if number <= done {
            continue;
        }
        let migration = migration
            .replace("{slots}", slots)
            .replace("{meters}", meters)
            .replace("{table}", table);
        raw_sql(AssertSqlSafe(migration))
            .execute(&mut *transaction)
            .await?;
        done = number;
    }
    let update = format!("UPDATE {versions} SET version = ?1, works_with = ?2 WHERE version < ?1");
    sqlx::query(AssertSqlSafe(update))
        .bind(done)
        .bind(WORKS_WITH)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    connection.done();
    Ok(())
}
