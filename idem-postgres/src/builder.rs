//! How a store is set up.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use idem_sql::Connections;
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    PostgresStore, SetupError,
    isolation::Isolation,
    reaper,
    schema::{self, Found, Names},
    session::{self, Purpose},
    statements::Statements,
    store::Inner,
};

/// The oldest server that has been thought of: 12 is the oldest with
/// `WITH … AS MATERIALIZED`.
const OLDEST_SERVER: i32 = 120_000;

/// Sets up a [`PostgresStore`].
#[derive(Clone)]
#[must_use]
pub struct PostgresStoreBuilder {
    address: Address,
    transactions: Option<PgPool>,
    schema: String,
    table: String,
    connections: u32,
    transaction_connections: u32,
    statement_timeout: Duration,
    isolation: Isolation,
    reap: Option<Reap>,
}

#[derive(Clone)]
enum Address {
    Url(String),
    Options(Box<PgConnectOptions>),
}

/// How expired rows are deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reap {
    pub(crate) every: Duration,
    pub(crate) batch: u32,
}

impl PostgresStoreBuilder {
    pub(crate) fn url(url: String) -> Self {
        Self::new(Address::Url(url))
    }

    pub(crate) fn options(options: PgConnectOptions) -> Self {
        Self::new(Address::Options(Box::new(options)))
    }

    fn new(address: Address) -> Self {
        Self {
            address,
            transactions: None,
            schema: "idem".to_owned(),
            table: "slots".to_owned(),
            connections: 10,
            transaction_connections: 10,
            statement_timeout: Duration::from_secs(5),
            isolation: Isolation::Default,
            reap: Some(Reap {
                every: Duration::from_secs(60),
                batch: 1000,
            }),
        }
    }

    /// The schema that the tables are in; `"idem"` by default. It is created if
    /// it is not there.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// The table of the slots; `"slots"` by default. Beside it there is one with
    /// its version, `slots_version`.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// How many connections the store may have for claims, records and
    /// heartbeats; 10 by default. They are apart from those of transactions, so
    /// that a heartbeat does not wait for a handler. Those that were needed stay open
    /// while the store has nothing to do.
    pub fn connections(mut self, most: u32) -> Self {
        self.connections = most;
        self
    }

    /// How many handlers may have a transaction at the same time; 10 by default.
    /// The next one waits, for as long as the runtime's `store_deadline` allows.
    /// [`PostgresStore::pool`] may have as many more.
    pub fn transaction_connections(mut self, most: u32) -> Self {
        self.transaction_connections = most;
        self
    }

    /// Takes the transactions of handlers from this pool of the service's own,
    /// with whatever its sessions are set to. It must be a pool of the same
    /// database, in which the store's tables are.
    pub fn transactions_from(mut self, pool: PgPool) -> Self {
        self.transactions = Some(pool);
        self
    }

    /// The longest that one statement of the store's own may take at the server;
    /// 5 seconds by default. The runtime gives up on it earlier; this is for the
    /// server, which is not told.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// The isolation level of handlers' transactions; the server's default unless
    /// it is said here. With [`RepeatableRead`](Isolation::RepeatableRead) and
    /// [`Serializable`](Isolation::Serializable) give handlers `retries = …`.
    pub fn isolation(mut self, level: Isolation) -> Self {
        self.isolation = level;
        self
    }

    /// How often this node deletes expired rows; every minute by default. Any
    /// number of nodes may do it at the same time.
    pub fn reap_every(mut self, interval: Duration) -> Self {
        if let Some(reap) = &mut self.reap {
            reap.every = interval;
        }
        self
    }

    /// How many expired rows are deleted in one statement; 1000 by default.
    pub fn reap_batch(mut self, rows: u32) -> Self {
        if let Some(reap) = &mut self.reap {
            reap.batch = rows.max(1);
        }
        self
    }

    /// This node deletes no expired rows by itself. Some node has to, or something
    /// that calls [`PostgresStore::reap`].
    pub fn without_reaper(mut self) -> Self {
        self.reap = None;
        self
    }

    /// Connects and looks at the server and the tables.
    ///
    /// Tables that are not there yet, or are older, are no error:
    /// [`PostgresStore::migrate`] is for them.
    ///
    /// # Errors
    /// [`SetupError`]: the address, the names, the server or its tables cannot be used.
    pub async fn connect(self) -> Result<PostgresStore, SetupError> {
        let names = Names::new(&self.schema, &self.table)?;
        let options = match self.address {
            // sqlx reads an address of any scheme.
            Address::Url(url) if !url.starts_with("postgres") => {
                let scheme = "it does not begin with postgres://";
                return Err(SetupError::Url(sqlx::Error::Configuration(scheme.into())));
            }
            Address::Url(url) => url.parse().map_err(SetupError::Url)?,
            Address::Options(options) => *options,
        };
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("idem"),
        };
        let limit = self.statement_timeout;
        let verbs = pool(self.connections, Purpose::Verbs { limit });
        let verbs = Connections::all_of(verbs.connect_lazy_with(options.clone()));
        // Not by the pool, which would say only that it has waited in vain.
        let mut connection = PgConnection::connect_with(&options).await?;
        let version = session::version(&mut connection).await?;
        connection.close().await?;
        if version < OLDEST_SERVER {
            let (found, oldest) = (version / 10_000, OLDEST_SERVER / 10_000);
            return Err(SetupError::Unfit(format!(
                "the server is PostgreSQL {found}; the store needs {oldest} or later"
            )));
        }
        if schema::look(&verbs, &names).await? == Found::Older {
            tracing::warn!(table = %names, "the store's tables are older than this version of idem: call `store.migrate()`");
        }
        let (transactions, beside) = match self.transactions {
            Some(pool) => (Connections::shared_with_others(pool.clone()), pool),
            None => {
                let most = self.transaction_connections;
                let pool = || pool(most, Purpose::Transactions);
                // Whoever asks beside it does not ask again.
                let beside = pool().test_before_acquire(true);
                (
                    Connections::all_of(pool().connect_lazy_with(options.clone())),
                    beside.connect_lazy_with(options.clone()),
                )
            }
        };
        let inner = Arc::new(Inner {
            statements: Statements::new(&names),
            names,
            verbs,
            transactions,
            beside,
            isolation: self.isolation,
            is_metered: AtomicBool::new(false),
        });
        if let Some(reap) = self.reap {
            reaper::start(&inner, reap);
        }
        Ok(PostgresStore { inner })
    }
}

fn pool(most: u32, purpose: Purpose) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(most.max(1))
        // A dead connection is found out by the statement, which is asked for again.
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(move |connection, _| Box::pin(session::set_up(connection, purpose)))
}

impl fmt::Debug for PostgresStoreBuilder {
    /// The address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("schema", &self.schema)
            .field("table", &self.table)
            .field("connections", &self.connections)
            .field("transaction_connections", &self.transaction_connections)
            .field("isolation", &self.isolation)
            .finish_non_exhaustive()
    }
}
