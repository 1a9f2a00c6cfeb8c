//! Statements of the test itself, each on a connection of its own.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::{Postgres, USER};
use crate::waiting::DEADLINE;

/// For the answer of a server that may not be one.
const PATIENCE: Duration = Duration::from_secs(5);
/// The name of the connections, for `pg_stat_activity` and the log.
const APPLICATION: &str = "idem-servers";
/// A database that every server has from the start. While somebody is in it, it cannot be copied.
pub(super) const TEMPLATE: &str = "template1";

impl Postgres {
    /// Makes an empty database: many tests of one process can share a server.
    pub async fn create_database(&self, name: &str) {
        let name = name.replace('"', "\"\"");
        let create = format!("CREATE DATABASE \"{name}\"");
        self.execute(&create).await;
    }

    /// Makes the database `idem` out of the one that `initdb` leaves: another would be another 7 MB
    /// to copy at each start.
    pub(super) async fn name_database(&self) {
        let rename = format!("ALTER DATABASE postgres RENAME TO {USER}");
        let renamed = self.try_execute(TEMPLATE, &rename);
        self.done(&rename, renamed).await;
    }

    /// Executes a statement, or several, in the database `idem`.
    ///
    /// # Panics
    ///
    /// When it fails, or has not ended after 30 seconds.
    pub async fn execute(&self, sql: &str) {
        self.done(sql, self.try_execute(USER, sql)).await;
    }

    /// The first column of the first row of what a query in the database `idem` finds. It must be
    /// text: `SELECT count(*)::text FROM t`.
    ///
    /// # Panics
    ///
    /// As [`Self::execute`].
    pub async fn text(&self, sql: &str) -> Option<String> {
        self.done(sql, self.try_text(USER, sql)).await
    }

    /// The processes that serve the clients of this `application_name`, the oldest first.
    pub async fn backends(&self, application: &str) -> Vec<u32> {
        let find = async {
            let mut connection = self.try_connection(USER).await?;
            let pids: Vec<i32> = sqlx::query_scalar(
                "SELECT pid FROM pg_stat_activity WHERE application_name = $1 \
                 AND backend_type = 'client backend' AND pid <> pg_backend_pid() \
                 ORDER BY backend_start",
            )
            .bind(application)
            .fetch_all(&mut connection)
            .await?;
            connection.close().await?;
            Ok(pids)
        };
        let pids = self.done("backends", find).await;
        pids.into_iter().map(i32::cast_unsigned).collect()
    }

    /// Whether it is this server that answers, and not another program's on this port.
    pub(super) async fn answers(&self, database: &str) -> bool {
        let ask = self.try_text(database, "SHOW data_directory");
        // Another program may say nothing at all.
        let Ok(Ok(own)) = tokio::time::timeout(PATIENCE, ask).await else {
            return false;
        };
        own.as_deref() == self.data().to_str()
    }

    async fn try_execute(&self, database: &str, sql: &str) -> sqlx::Result<()> {
        let mut connection = self.try_connection(database).await?;
        // Without a transaction around it, which `CREATE DATABASE` does not like.
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
        connection.close().await
    }

    async fn try_text(&self, database: &str, sql: &str) -> sqlx::Result<Option<String>> {
        let mut connection = self.try_connection(database).await?;
        let text: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_optional(&mut connection)
            .await?;
        connection.close().await?;
        Ok(text.flatten())
    }

    async fn try_connection(&self, database: &str) -> sqlx::Result<PgConnection> {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port())
            .username(USER)
            .database(database)
            .application_name(APPLICATION)
            .ssl_mode(PgSslMode::Disable)
            .connect()
            .await
    }

    async fn done<T>(&self, what: &str, work: impl Future<Output = sqlx::Result<T>>) -> T {
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => panic!("{what}: {error}\n{}", self.log_tail()),
            Err(_) => panic!("{what}: no answer\n{}", self.log_tail()),
        }
    }
}
