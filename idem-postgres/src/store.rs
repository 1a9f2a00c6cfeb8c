//! The verbs: one statement and one round trip each, and a claim of what is there and can be
//! claimed two.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Claimed, Fence, Grant, ListQuery, OnCrash, OwnerId, Page,
    Renewal, Resolution, Resolved, Retention, ScopeTag, Slot, SlotView, Spent, Store, StoreError,
    Transactions, Written,
};
use idem_sql::{Connections, Leased, fence_number, kind_name, micros, page, slot_of, spent};
use sqlx::{
    PgConnection, PgPool, Postgres, Row,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::Query,
};

use crate::{
    PostgresStoreBuilder, SetupError,
    error::{of_connecting, of_statement},
    isolation::Isolation,
    row,
    schema::{self, Found, Names},
    statements::{Statement, Statements},
};

/// How often a claim is asked for again because somebody else was quicker. Each
/// time somebody's claim has gone ahead.
pub(crate) const TRIES: usize = 8;

/// A store over PostgreSQL, whose transactions handlers may take. Cheap to clone;
/// clones share their connections.
///
/// ```no_run
/// use idem_postgres::PostgresStore;
///
/// # async fn main_() -> Result<(), idem_postgres::SetupError> {
/// let store = PostgresStore::connect("postgres://shop@localhost/shop").await?;
/// // Makes the tables, or brings them up to date; any number of nodes at once.
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) statements: Statements,
    pub(crate) names: Names,
    pub(crate) verbs: Connections<Postgres>,
    pub(crate) transactions: Connections<Postgres>,
    /// For statements that are not the store's.
    pub(crate) beside: PgPool,
    pub(crate) isolation: Isolation,
    /// Whether this process has told any meter.
    pub(crate) is_metered: AtomicBool,
}

type Asked<'a> = Query<'a, Postgres, PgArguments>;

impl PostgresStore {
    /// Connects with everything else at its default, see [`builder`](Self::builder).
    ///
    /// # Errors
    /// [`SetupError`]
    pub async fn connect(url: &str) -> Result<Self, SetupError> {
        Self::builder(url).connect().await
    }

    /// Starts with an address: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with
    /// the parameters that sqlx takes, such as `?sslmode=verify-full` (feature `tls`).
    pub fn builder(url: impl Into<String>) -> PostgresStoreBuilder {
        PostgresStoreBuilder::url(url.into())
    }

    /// Starts with options of sqlx's.
    pub fn with_options(options: PgConnectOptions) -> PostgresStoreBuilder {
        PostgresStoreBuilder::options(options)
    }

    /// Makes the store's tables, or brings them up to date. Safe for any number of
    /// nodes at once, and without effect where nothing is to do; needs the right to
    /// create in the schema (and the schema itself, if it is not there).
    ///
    /// # Errors
    /// [`SetupError::Newer`] where a later version of idem has made the tables and
    /// this one must not use them; whatever the server says.
    pub async fn migrate(&self) -> Result<(), SetupError> {
        self.migrate_to(schema::VERSION).await
    }

    pub(crate) async fn migrate_to(&self, version: i32) -> Result<(), SetupError> {
        schema::migrate(&self.inner.verbs, &self.inner.names, version).await
    }

    /// Deletes expired rows, `rows` of them at the most, in one statement (and one more
    /// for the meters of scopes, where they are limited). The answer is how many: if it
    /// is `rows`, there may be more. What another node is deleting is left to it.
    ///
    /// The store does this by itself, unless it is built
    /// [`without_reaper`](PostgresStoreBuilder::without_reaper).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reap(&self, rows: u32) -> Result<u64, StoreError> {
        self.inner.reap(rows).await
    }

    /// A pool for statements of the service's own beside its handlers' transactions:
    /// [the one that they come from](PostgresStoreBuilder::transactions_from), or else one
    /// with as many connections of its own, so that a handler that has its transaction and
    /// asks for another connection does not wait for one that has none.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.inner.beside
    }

    /// The claim of a slot that is absent, or somebody else's: nearly every one. Whatever can
    /// be claimed and is there is left to the statement that knows how, at three times the
    /// price: `None`.
    async fn claim_first(&self, request: &ClaimRequest) -> Result<Option<Claim>, StoreError> {
        let asked = asked_for(&self.inner.statements.claim_first, request)
            .bind(request.on_crash == OnCrash::Refuse);
        let Some(row) = self.inner.row(asked).await? else {
            return Ok(None);
        };
        let won: bool = row.try_get("won").map_err(of_statement)?;
        let found: Option<bool> = row.try_get("found").map_err(of_statement)?;
        if won {
            return Ok(Some(Claim::Claimed(Claimed::first())));
        }
        match found {
            Some(true) => row::slot(&row)?.meets(request),
            _ => Ok(None),
        }
    }
}

impl Inner {
    /// A connection for one verb: dropped in the middle, it is closed.
    pub(crate) async fn connection(&self) -> Result<Leased<Postgres>, StoreError> {
        Leased::of(&self.verbs).await.map_err(of_connecting)
    }

    /// How many rows the statement has changed.
    async fn change(&self, asked: Asked<'_>) -> Result<u64, StoreError> {
        let mut connection = self.connection().await?;
        let done = asked.execute(&mut *connection).await;
        connection.settle(done.map(|done| done.rows_affected()))
    }

    async fn written(&self, asked: Asked<'_>) -> Result<Written, StoreError> {
        Ok(match self.change(asked).await? {
            0 => Written::Fenced,
            _ => Written::Done,
        })
    }

    pub(crate) async fn row(&self, asked: Asked<'_>) -> Result<Option<PgRow>, StoreError> {
        let mut connection = self.connection().await?;
        let row = asked.fetch_optional(&mut *connection).await;
        connection.settle(row)
    }

    async fn rows(&self, asked: Asked<'_>) -> Result<Vec<PgRow>, StoreError> {
        let mut connection = self.connection().await?;
        let rows = asked.fetch_all(&mut *connection).await;
        connection.settle(rows)
    }

    pub(crate) async fn reap(&self, rows: u32) -> Result<u64, StoreError> {
        let asked = query(&self.statements.reap).bind(i64::from(rows));
        let slots = self.change(asked).await?;
        // Where no scope is limited, nothing is asked for.
        if !self.is_metered.load(Relaxed) {
            return Ok(slots);
        }
        let left = i64::from(rows).saturating_sub_unsigned(slots).max(0);
        let asked = query(&self.statements.reap_meters).bind(left);
        Ok(slots + self.change(asked).await?)
    }
}

/// What a verb's statement has come to.
trait Settle {
    fn settle<T>(self, answer: Result<T, sqlx::Error>) -> Result<T, StoreError>;
}

impl Settle for Leased<Postgres> {
    /// After an answer, which may be the server's refusal, nothing is under way.
    fn settle<T>(self, answer: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        match answer {
            Ok(answer) => {
                self.done();
                Ok(answer)
            }
            Err(error) => {
                let error = of_statement(error);
                // A standby refuses too, and the next connection may be the master's.
                if matches!(error, StoreError::Refused { .. }) {
                    self.done();
                }
                Err(error)
            }
        }
    }
}

pub(crate) fn query(statement: &Statement) -> Asked<'static> {
    sqlx::query(statement.sql())
}

/// A claim's statement with its first parameters, which all of them share.
pub(crate) fn asked_for<'a>(statement: &Statement, request: &'a ClaimRequest) -> Asked<'a> {
    sqlx::query(statement.sql())
        .bind(&request.slot.as_bytes()[..])
        .bind(&request.fingerprint.as_bytes()[..])
        .bind(&request.owner.as_bytes()[..])
        .bind(micros(request.lease))
        .bind(micros(request.retention.total()))
}

/// The claim, with what must be true of the transaction that it is made in.
pub(crate) fn claim_in<'a>(
    statement: &Statement,
    request: &'a ClaimRequest,
    refuse: bool,
    guard: Option<&'a str>,
) -> Asked<'a> {
    asked_for(statement, request)
        .bind(request.on_crash == OnCrash::Refuse)
        .bind(refuse)
        .bind(guard)
}

/// The completion, with what must be true of the transaction that it is made in.
pub(crate) fn complete_in<'a>(
    statement: &Statement,
    grant: &'a Grant,
    record: &'a [u8],
    retention: Retention,
    guard: Option<&'a str>,
) -> Asked<'a> {
    granted(statement, grant)
        .bind(micros(retention.ttl))
        .bind(micros(retention.grace))
        .bind(guard)
        // The last: a buffer that grows behind it would hold it twice.
        .bind(record)
}

/// A statement whose first parameters are a grant.
fn granted<'a>(statement: &Statement, grant: &'a Grant) -> Asked<'a> {
    sqlx::query(statement.sql())
        .bind(&grant.slot.as_bytes()[..])
        .bind(&grant.owner.as_bytes()[..])
        .bind(fence_number(grant.fence))
}

pub(crate) async fn release_in(
    connection: &mut PgConnection,
    statement: &Statement,
    grant: &Grant,
    ttl: Duration,
) -> Result<u64, sqlx::Error> {
    let asked = granted(statement, grant).bind(micros(ttl));
    Ok(asked.execute(connection).await?.rows_affected())
}

impl Store for PostgresStore {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let Inner { statements, .. } = &*self.inner;
        if let Some(alias) = &request.alias {
            return self.inner.claim_either(&request, alias).await;
        }
        if let Some(claim) = self.claim_first(&request).await? {
            return Ok(claim);
        }
        let refuse = request.on_crash == OnCrash::Refuse;
        for _ in 0..TRIES {
            let asked = claim_in(&statements.claim, &request, refuse, None);
            // None: it was absent, and then somebody else's.
            let Some(row) = self.inner.row(asked).await? else {
                continue;
            };
            if row.try_get("won").map_err(of_statement)? {
                return Ok(Claim::Claimed(row::claimed(request.slot, &row)?));
            }
            if let Some(claim) = row::slot(&row)?.meets(&request)? {
                return Ok(claim);
            }
        }
        Ok(Claim::InFlight {
            lease_left: Duration::ZERO,
        })
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        let asked = granted(&self.inner.statements.renew, &grant).bind(micros(lease));
        self.inner.written(asked).await
    }

    async fn renew_many(&self, renewals: &[Renewal]) -> Result<Vec<Option<Written>>, StoreError> {
        let (mut slots, mut owners) = (Vec::new(), Vec::new());
        let (mut fences, mut leases) = (Vec::new(), Vec::new());
        for Renewal { grant, lease } in renewals {
            slots.push(&grant.slot.as_bytes()[..]);
            owners.push(&grant.owner.as_bytes()[..]);
            fences.push(fence_number(grant.fence));
            leases.push(micros(*lease));
        }
        let asked = query(&self.inner.statements.renew_many)
            .bind(slots)
            .bind(owners)
            .bind(fences)
            .bind(leases);
        let rows = self.inner.rows(asked).await?;
        rows.iter()
            .map(|row| {
                Ok(match (row.try_get("renewed")?, row.try_get("held")?) {
                    (true, _) => Some(Written::Done),
                    (false, true) => None,
                    (false, false) => Some(Written::Fenced),
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(of_statement)
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        let asked = granted(&self.inner.statements.checkpoint, &grant)
            .bind(&step.name)
            .bind(&step.value[..]);
        self.inner.written(asked).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        let statement = &self.inner.statements.complete;
        let asked = complete_in(statement, &grant, &record, retention, None);
        self.inner.written(asked).await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        let asked = granted(&self.inner.statements.release, &grant).bind(micros(ttl));
        self.inner.written(asked).await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let asked = query(&self.inner.statements.inspect).bind(slot.as_bytes().to_vec());
        match self.inner.row(asked).await? {
            Some(row) => Ok(Some(row::slot(&row)?.view(slot)?)),
            None => Ok(None),
        }
    }

    async fn list(&self, query_: ListQuery) -> Result<Page, StoreError> {
        let ListQuery {
            state,
            after,
            limit,
        } = query_;
        let limit = limit.max(1);
        let asked = query(&self.inner.statements.list)
            .bind(after.map(|cursor| cursor.0.to_vec()))
            .bind(state.map(kind_name))
            // One more, to see whether there is another page.
            .bind(i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1);
        let mut slots = Vec::new();
        for row in self.inner.rows(asked).await? {
            let slot = slot_of(row.try_get("slot").map_err(of_statement)?)?;
            slots.push(row::slot(&row)?.view(slot)?);
        }
        Ok(page(slots, limit))
    }

    async fn resolve(
        &self,
        slot: Slot,
        expected: Fence,
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
                .bind(fence_number(expected))
                .bind(&operator.as_bytes()[..])
                .bind(record)
                .bind(micros(ttl))
                .bind(micros(grace));
            let Some(row) = self.inner.row(asked).await? else {
                return Ok(Resolved::Moved);
            };
            if row.try_get("done").map_err(of_statement)? {
                return Ok(Resolved::Done);
            }
            let seen = row::slot(&row)?;
            if let Some(resolved) = seen.unresolved(slot, expected, &operator)? {
                return Ok(resolved);
            }
        }
        Ok(Resolved::Moved)
    }

    async fn health(&self) -> Result<(), StoreError> {
        let found = schema::look(&self.inner.verbs, &self.inner.names).await;
        match found {
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
        let asked = query(&self.inner.statements.spend)
            .bind(tag.as_bytes().to_vec())
            .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
            .bind(micros(window));
        let row = self.inner.row(asked).await?;
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

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &format_args!("{}", self.inner.names))
            .field("connections", &self.inner.verbs.size())
            .finish_non_exhaustive()
    }
}
