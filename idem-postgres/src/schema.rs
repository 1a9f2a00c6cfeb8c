//! The store's tables: their names, how they are made, and which version they are.

use std::fmt;

use idem_sql::{Connections, Leased, NameError, checked_name};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, raw_sql};

use crate::SetupError;

/// What made the tables what they are, oldest first. A table is as old as the
/// number of those that it has seen.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/1_slots.sql"),
    include_str!("migrations/2_vacuum.sql"),
    include_str!("migrations/3_meters.sql"),
];

/// The version that this build makes and works with.
pub(crate) const VERSION: i32 = MIGRATIONS.len() as i32;

/// The oldest version of this crate's tables that builds may know who still work
/// with [`VERSION`]: nodes of the version before run on while others migrate.
const WORKS_WITH: i32 = 1;

/// Where the tables are. The names are checked: they go into statements.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    schema: String,
    table: String,
    slots: String,
    meters: String,
    versions: String,
}

impl Names {
    pub(crate) fn new(schema: &str, table: &str) -> Result<Self, NameError> {
        let (schema, table) = (checked_name(schema)?, checked_name(table)?);
        Ok(Self {
            slots: format!("\"{schema}\".\"{table}\""),
            meters: format!("\"{schema}\".\"{table}_meters\""),
            versions: format!("\"{schema}\".\"{table}_version\""),
            schema: schema.to_owned(),
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
        write!(f, "{}.{}", self.schema, self.table)
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
pub(crate) async fn look(
    verbs: &Connections<Postgres>,
    names: &Names,
) -> Result<Found, SetupError> {
    let mut connection = Leased::of(verbs).await?;
    let found = found(&mut connection, names).await?;
    connection.done();
    Ok(found)
}

async fn found(connection: &mut PgConnection, names: &Names) -> Result<Found, SetupError> {
    // Not `to_regclass`: it believes what the session remembers of the catalog, and
    // one that waits for another node's migration remembers that nothing was there.
    let is_there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 || '_version')",
    )
    .bind(&names.schema)
    .bind(&names.table)
    .fetch_one(&mut *connection)
    .await?;
    if !is_there {
        return Ok(Found::Absent);
    }
    let select = format!("SELECT version, works_with FROM {}", names.versions);
    let (version, works_with): (i32, i32) = sqlx::query_as(AssertSqlSafe(select))
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

/// Makes the tables, or brings them up to date. Of many who do it at once, one
/// does it and the others wait for it.
pub(crate) async fn migrate(
    verbs: &Connections<Postgres>,
    names: &Names,
    target: i32,
) -> Result<(), SetupError> {
    let mut connection = Leased::of(verbs).await?;
    // One transaction: a node that dies in the middle leaves nothing behind.
    let mut transaction = connection.begin().await?;
    // Whoever waits here waits for a migration, which may take longer than a verb.
    sqlx::query(
        "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('idem migrate ' || $1, 0))")
        .bind(&names.versions)
        .execute(&mut *transaction)
        .await?;
    let Names {
        schema,
        table,
        slots,
        meters,
        versions,
    } = names;
    let mut done = match found(&mut transaction, names).await? {
        Found::Absent => {
            let has_schema: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
                    .bind(schema)
                    .fetch_one(&mut *transaction)
                    .await?;
            // Who may not create schemas may have been given one.
            if !has_schema {
                let create = format!("CREATE SCHEMA \"{schema}\"");
                raw_sql(AssertSqlSafe(create))
                    .execute(&mut *transaction)
                    .await?;
            }
            let create = format!(
                "CREATE TABLE {versions} (version integer NOT NULL, works_with integer NOT NULL); \
                 CREATE UNIQUE INDEX ON {versions} ((true)); \
                 INSERT INTO {versions} VALUES (0, 0)"
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
    let update = format!("UPDATE {versions} SET version = $1, works_with = $2 WHERE version < $1");
    sqlx::query(AssertSqlSafe(update))
        .bind(done)
        .bind(WORKS_WITH)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    connection.done();
    Ok(())
}
