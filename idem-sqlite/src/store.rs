//! The verbs: one statement each, and one to read where nothing is to be written.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OnCrash, OwnerId, Page, Renewal,
    Resolution, Resolved, Retention, ScopeTag, Slot, SlotView, Spent, Store, StoreError,
    Transactions, Written,
};
use idem_sql::{Leased, SlotRow, fence_number, kind_name, micros, page, slot_of, spent};
use sqlx::{
    QueryBuilder, Row, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{
    SetupError, SqliteStoreBuilder,
    error::{of_connecting, of_statement},
    row,
    running::Running,
    schema::{self, Found, Names},
    statements::{Statement, Statements},
};

/// How often a claim is asked for again because somebody else was quicker.
pub(crate) const TRIES: usize = 8;

/// How many leases one statement renews.
pub(crate) const MOST_RENEWALS: usize = 500;

/// A store in a SQLite file, whose transactions handlers may take. It survives a
/// restart, and any number of processes of one machine may use it. Cheap to
/// clone; clones share their connections.
///
/// ```
/// use idem_sqlite::SqliteStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let url = format!("sqlite:{}/payments.db", directory.path().display());
/// // "sqlite:payments.db"
/// let store = SqliteStore::connect(&url).await?;
/// // Makes the tables, or brings them up to date.
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) statements: Statements,
    pub(crate) names: Names,
    /// One connection.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) running: Running,
    /// Whether this process has told any meter.
    pub(crate) is_metered: AtomicBool,
}

type Asked<'a> = Query<'a, Sqlite, SqliteArguments>;

impl SqliteStore {
    /// Opens a file, `sqlite:PATH`, with everything else at its default, see
    /// [`builder`](Self::builder).
    ///
    /// # Errors
    /// [`SetupError`]
    pub async fn connect(url: &str) -> Result<Self, SetupError> {
        Self::builder(url).connect().await
    }

    /// Starts with the address of a file: `sqlite:PATH`.
    pub fn builder(url: impl Into<String>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(url.into())
    }

    /// Makes the store's tables, or brings them up to date. Safe for any number of
    /// processes at once, and without effect where nothing is to do.
    ///
    /// # Errors
    /// [`SetupError::Newer`] where a later version of idem has made the tables and
    /// this one must not use them; whatever SQLite says.
    pub async fn migrate(&self) -> Result<(), SetupError> {
        self.migrate_to(schema::VERSION).await
    }

    pub(crate) async fn migrate_to(&self, version: i64) -> Result<(), SetupError> {
        schema::migrate(&self.inner.writer, &self.inner.names, version).await
    }

    /// Deletes expired rows, `rows` of them at the most. The answer is how many: if
    /// it is `rows`, there may be more.
    ///
    /// The store does this by itself, unless it is built
    /// [`without_reaper`](SqliteStoreBuilder::without_reaper).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reap(&self, rows: u32) -> Result<u64, StoreError> {
        self.inner.reap(rows).await
    }

    /// The one connection that writes, which handlers' transactions have in turn.
    /// For statements of the service's own beside them, such as those that make its
    /// tables.
    #[must_use]
    pub fn writer(&self) -> &SqlitePool {
        &self.inner.writer
    }

    /// Connections that read, also while a handler's transaction is open.
    #[must_use]
    pub fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }
}

impl Inner {
    /// How many rows the statement has changed.
    pub(crate) async fn change(&self, asked: Asked<'_>) -> Result<u64, StoreError> {
        let mut connection = leased(&self.writer).await?;
        let done = asked
            .execute(&mut *connection)
            .await
            .map_err(of_statement)?;
        connection.done();
        Ok(done.rows_affected())
    }

    async fn written(&self, asked: Asked<'_>) -> Result<Written, StoreError> {
        Ok(match self.change(asked).await? {
            0 => Written::Fenced,
            _ => Written::Done,
        })
    }

    pub(crate) async fn reap(&self, rows: u32) -> Result<u64, StoreError> {
        let asked = sqlx::query(self.statements.reap.sql()).bind(rows);
        let slots = self.change(asked).await?;
        // Where no scope is limited, nothing is asked for.
        if !self.is_metered.load(Relaxed) {
            return Ok(slots);
        }
        let left = i64::from(rows).saturating_sub_unsigned(slots).max(0);
        let asked = sqlx::query(self.statements.reap_meters.sql()).bind(left);
        Ok(slots + self.change(asked).await?)
    }

    /// Which of them are renewed.
    async fn renew_some(&self, renewals: &[Renewal]) -> Result<Vec<bool>, StoreError> {
        let mut asked = QueryBuilder::<Sqlite>::new("WITH asked (slot, owner, fence, lease) AS (");
        asked.push_values(renewals, |mut row, Renewal { grant, lease }| {
            row.push_bind(&grant.slot.as_bytes()[..])
                .push_bind(&grant.owner.as_bytes()[..])
                .push_bind(fence_number(grant.fence))
                .push_bind(millis(*lease));
        });
        asked.push(") ").push(self.statements.renew_many.text());
        let mut connection = leased(&self.writer).await?;
        let rows = asked
            .build()
            // One for each number of renewals would be many.
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
            .map_err(of_statement)?;
        connection.done();
        let who = rows
            .iter()
            .map(|row| Ok((row.try_get("slot")?, row.try_get("owner")?)));
        let renewed: HashSet<(&[u8], &[u8])> =
            who.collect::<Result<_, _>>().map_err(of_statement)?;
        Ok(renewals
            .iter()
            .map(|Renewal { grant, .. }| {
                renewed.contains(&(&grant.slot.as_bytes()[..], &grant.owner.as_bytes()[..]))
            })
            .collect())
    }

    /// The slot as it was committed last.
    pub(crate) async fn seen(&self, slot: Slot) -> Result<Option<SlotRow>, StoreError> {
        let asked = sqlx::query(self.statements.inspect.sql()).bind(slot.as_bytes().to_vec());
        let row = row_of(&self.readers, asked).await?;
        row.map(|row| row::slot(&row)).transpose()
    }
}

pub(crate) async fn leased(pool: &SqlitePool) -> Result<Leased<Sqlite>, StoreError> {
    Leased::from(pool).await.map_err(of_connecting)
}

/// The connection is closed after an error: SQLite is at hand, and opens it again.
async fn row_of(pool: &SqlitePool, asked: Asked<'_>) -> Result<Option<SqliteRow>, StoreError> {
    let mut connection = leased(pool).await?;
    let row = asked
        .fetch_optional(&mut *connection)
        .await
        .map_err(of_statement)?;
    connection.done();
    Ok(row)
}

/// `refuse`: the row that is made refuses to be taken over.
pub(crate) fn claim<'a>(
    statement: &Statement,
    request: &'a ClaimRequest,
    refuse: bool,
) -> Asked<'a> {
    sqlx::query(statement.sql())
        .bind(&request.slot.as_bytes()[..])
        .bind(&request.fingerprint.as_bytes()[..])
        .bind(&request.owner.as_bytes()[..])
        .bind(millis(request.lease))
        .bind(millis(request.retention.total()))
        .bind(request.on_crash == OnCrash::Refuse)
        .bind(refuse)
}

/// A statement whose first parameters are a grant.
fn granted<'a>(statement: &Statement, grant: &'a Grant) -> Asked<'a> {
    sqlx::query(statement.sql())
        .bind(&grant.slot.as_bytes()[..])
        .bind(&grant.owner.as_bytes()[..])
        .bind(fence_number(grant.fence))
}

pub(crate) fn completion<'a>(
    statement: &Statement,
    grant: &'a Grant,
    record: &'a [u8],
    retention: Retention,
) -> Asked<'a> {
    granted(statement, grant)
        .bind(record)
        .bind(millis(retention.ttl))
        .bind(millis(retention.grace))
}

pub(crate) fn release<'a>(statement: &Statement, grant: &'a Grant, ttl: Duration) -> Asked<'a> {
    granted(statement, grant).bind(millis(ttl))
}

/// In milliseconds, rounded up: what is promised is kept.
fn millis(duration: Duration) -> i64 {
    (micros(duration) + 999) / 1000
}

impl Store for SqliteStore {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let Inner {
            statements,
            writer,
            running,
            ..
        } = &*self.inner;
        if let Some(alias) = &request.alias {
            return self.inner.claim_either(&request, alias).await;
        }
        let refuse = request.on_crash == OnCrash::Refuse;
        for _ in 0..TRIES {
            if let Some(claim) = running.meets(&request) {
                return Ok(claim);
            }
            // A replay needs no turn of the writer's.
            if let Some(seen) = self.inner.seen(request.slot).await?
                && let Some(claim) = seen.meets(&request)?
            {
                return Ok(claim);
            }
            let asked = claim(&statements.claim, &request, refuse);
            if let Some(row) = row_of(writer, asked).await? {
                return Ok(Claim::Claimed(row::claimed(request.slot, &row)?));
            }
        }
        Ok(Claim::InFlight {
            lease_left: Duration::ZERO,
        })
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        let asked = granted(&self.inner.statements.renew, &grant).bind(millis(lease));
        self.inner.written(asked).await
    }

    async fn renew_many(&self, renewals: &[Renewal]) -> Result<Vec<Option<Written>>, StoreError> {
        let mut answers = Vec::with_capacity(renewals.len());
        // A statement has so many parameters at the most.
        for renewals in renewals.chunks(MOST_RENEWALS) {
            let renewed = self.inner.renew_some(renewals).await?;
            answers.extend(renewed.into_iter().map(|is_renewed| {
                Some(if is_renewed {
                    Written::Done
                } else {
                    Written::Fenced
                })
            }));
        }
        Ok(answers)
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        let asked = granted(&self.inner.statements.checkpoint, &grant)
            .bind(&step.name)
            .bind(row::to_hex(&step.value));
        self.inner.written(asked).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        let statement = &self.inner.statements.complete;
        self.inner
            .written(completion(statement, &grant, &record, retention))
            .await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        let statement = &self.inner.statements.release;
        self.inner.written(release(statement, &grant, ttl)).await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let seen = self.inner.seen(slot).await?;
        seen.map(|seen| seen.view(slot)).transpose()
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        let ListQuery {
            state,
            after,
            limit,
        } = query;
        let limit = limit.max(1);
        let asked = sqlx::query(self.inner.statements.list.sql())
            .bind(after.map(|cursor| cursor.0.to_vec()))
            .bind(state.map(kind_name))
            // One more, to see whether there is another page.
            .bind(i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1);
        let mut connection = leased(&self.inner.readers).await?;
        let rows = asked
            .fetch_all(&mut *connection)
            .await
            .map_err(of_statement)?;
        connection.done();
        let mut slots = Vec::with_capacity(rows.len());
        for row in rows {
            let slot = slot_of(row.try_get("slot").map_err(of_statement)?)?;
            slots.push(row::slot(&row)?.view(slot)?);
        }
        Ok(page(slots, limit))
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let (record, ttl, grace) = match &resolution {
            Resolution::Complete { record, retention } => {
                (Some(&record[..]), retention.ttl, retention.grace)
            }
            Resolution::Release { ttl } => (None, *ttl, Duration::ZERO),
        };
        for _ in 0..TRIES {
            let asked = sqlx::query(self.inner.statements.resolve.sql())
                .bind(&slot.as_bytes()[..])
                .bind(fence_number(fence))
                .bind(&operator.as_bytes()[..])
                .bind(record)
                .bind(millis(ttl))
                .bind(millis(grace));
            if self.inner.change(asked).await? > 0 {
                return Ok(Resolved::Done);
            }
            let Some(seen) = self.inner.seen(slot).await? else {
                return Ok(Resolved::Moved);
            };
            if let Some(resolved) = seen.unresolved(slot, fence, &operator)? {
                return Ok(resolved);
            }
        }
        Ok(Resolved::Moved)
    }

    async fn health(&self) -> Result<(), StoreError> {
        match schema::look(&self.inner.readers, &self.inner.names).await {
            Ok(Found::Current | Found::Older) => Ok(()),
            Ok(Found::Absent) => Err(StoreError::Refused {
                reason: format!(
                    "the table {} is not there; call `store.migrate()` when the service starts",
                    self.inner.names
                ),
            }),
            Err(SetupError::Database(error)) => Err(of_statement(error)),
            Err(error) => Err(StoreError::Refused {
                reason: error.to_string(),
            }),
        }
    }

    fn meters(&self) -> bool {
        true
    }

    async fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Result<Spent, StoreError> {
        self.inner.is_metered.store(true, Relaxed);
        let asked = sqlx::query(self.inner.statements.spend.sql())
            .bind(tag.as_bytes().to_vec())
            .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
            .bind(millis(window));
        let row = row_of(&self.inner.writer, asked).await?;
        row.map(|row| Ok(spent(row.try_get("total")?, row.try_get("resets_in")?)))
            .transpose()
            .map_err(of_statement)?
            .ok_or_else(|| of_statement(sqlx::Error::RowNotFound))
    }

    fn transactions(&self) -> Option<Transactions> {
        Some(Transactions::of(self.clone()))
    }

    fn refuses_alias(&self) -> Option<&'static str> {
        None
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("table", &format_args!("{}", self.inner.names))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::millis;

    #[test]
    fn a_part_of_a_millisecond_is_a_whole_one() {
        let micros = [0, 1, 999, 1000, 1001];
        let spans = micros.map(|micros| millis(Duration::from_micros(micros)));
        assert_eq!(spans, [0, 1, 1, 1, 2]);
        assert!(millis(Duration::MAX) > 0);
    }
}
