//! What the store asks of its sessions at the server.

use std::time::Duration;

use sqlx::{PgConnection, Row};

/// What one of the store's sessions is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Statements of the store's own: each is short, and durable when it is answered.
    Verbs {
        /// The longest that one may take.
        limit: Duration,
    },
    /// Transactions of handlers.
    Transactions,
}

/// Sets a new session up, in one round trip. Settings that this server does not
/// know are left out.
pub(crate) async fn set_up(
    connection: &mut PgConnection,
    purpose: Purpose,
) -> Result<(), sqlx::Error> {
    let mut settings = vec![
        // A client that has died holds its locks until the server finds out.
        ("client_connection_check_interval", "1s".to_owned()),
        ("tcp_keepalives_idle", "15s".to_owned()),
        ("tcp_keepalives_interval", "5s".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ];
    if let Purpose::Verbs { limit } = purpose {
        let limit = format!("{}ms", limit.as_millis().max(1));
        settings.push(("statement_timeout", limit.clone()));
        settings.push(("lock_timeout", limit));
    }
    let (names, values): (Vec<&str>, Vec<String>) = settings.into_iter().unzip();
    let durable = matches!(purpose, Purpose::Verbs { .. });
    sqlx::query(
        // A claim that a crash may undo is none. What waits for standbys goes on doing so.
        "SELECT set_config(name, value, false) FROM pg_settings \
         JOIN unnest($1::text[], $2::text[]) AS wanted (name, value) USING (name) \
         UNION ALL \
         SELECT set_config('synchronous_commit', 'local', false) \
         WHERE $3 AND current_setting('synchronous_commit') = 'off'",
    )
    .bind(names)
    .bind(values)
    .bind(durable)
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// The server's version, such as 150004.
pub(crate) async fn version(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query("SELECT current_setting('server_version_num')::integer")
        .fetch_one(connection)
        .await?
        .try_get(0)
}
