//! The store. It is opened as it is: never made, never migrated, and nothing is deleted by the way.

use std::{error::Error, fs::File, io::Read, path::Path, time::Duration};

use idem_core::{PolicyError, Runtime, RuntimeBuilder, Store, StoreError, encryption::Keyring};
use idem_postgres::PostgresStore;
use idem_redis::RedisStore;
use idem_sqlite::SqliteStore;
use tokio::time::timeout;

use super::{
    OperateError,
    address::{Address, StoreUrl},
};

/// How long opening may take.
const OPENING: Duration = Duration::from_secs(5);
/// How long one verb may take, its tries together, and one of them.
const VERB: Duration = Duration::from_secs(5);
const TRY: Duration = Duration::from_secs(2);
/// How long one page of a list may take, and one batch of a purge.
const PAGE: Duration = Duration::from_secs(20);

/// In a page of a table's there are all its records.
const SLOTS_OF_A_TABLE: usize = 200;
/// Redis looks at all its keys for each page.
const SLOTS_OF_REDIS: usize = 2000;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// The service's store: postgres://…, sqlite:PATH, redis://…, rediss://…, redis-cluster://…,
    /// redis-sentinel://…
    #[arg(
        long = "store",
        value_name = "URL",
        env = "IDEM_STORE",
        hide_env_values = true
    )]
    url: StoreUrl,

    /// What each key begins with at Redis, if the service says `RedisStore::builder(…).namespace(…)`
    /// [default: idem]
    #[arg(long, value_name = "NAME")]
    redis_namespace: Option<String>,

    /// The schema of the tables at PostgreSQL [default: idem]
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,

    /// The table of the slots [default: slots at PostgreSQL, idem_slots at SQLite]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

/// A store that has been looked at.
pub(crate) struct Opened {
    /// Where it is, as it may be printed.
    pub(crate) name: String,
    /// What the verbs go through.
    pub(crate) runtime: Runtime,
    /// The same, with more time for a page.
    pub(super) lists: Runtime,
    /// How many slots a page has.
    pub(super) page: usize,
    /// What deletes.
    pub(crate) reaping: Reaping,
}

/// Who deletes what has expired.
pub(crate) enum Reaping {
    Postgres(PostgresStore),
    Sqlite(SqliteStore),
    /// The server.
    ByItself,
}

impl StoreArgs {
    /// Where it is. Nothing is opened yet.
    ///
    /// # Errors
    /// The address, or an option that is for another kind of store.
    pub(crate) fn address(&self) -> Result<Address, OperateError> {
        let address = self.url.read()?;
        let misplaced = match &address {
            Address::Redis(_) if self.schema.is_some() => Some(("--schema", "PostgreSQL")),
            Address::Redis(_) if self.table.is_some() => Some((
                "--table",
                "PostgreSQL and SQLite; at Redis say --redis-namespace",
            )),
            Address::Sqlite { .. } if self.schema.is_some() => Some(("--schema", "PostgreSQL")),
            Address::Postgres(_) | Address::Sqlite { .. } if self.redis_namespace.is_some() => {
                Some(("--redis-namespace", "Redis"))
            }
            _ => None,
        };
        match misplaced {
            None => Ok(address),
            Some((option, instead)) => Err(OperateError::Option {
                option,
                store: address.to_string(),
                instead,
            }),
        }
    }

    /// Opens it, and sees that it can be used.
    ///
    /// # Errors
    /// It is not there, does not answer, or has no tables.
    pub(crate) async fn open(&self) -> Result<Opened, OperateError> {
        self.open_with(None).await
    }

    /// [`open`](Self::open) for who reads or writes what the service seals.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) async fn open_with(&self, keys: Option<Keyring>) -> Result<Opened, OperateError> {
        let address = self.address()?;
        if let Address::Sqlite { file, .. } = &address {
            look_at(file)?;
        }
        let name = address.to_string();
        match timeout(OPENING, self.open_at(address, keys)).await {
            Ok(opened) => opened,
            Err(_) => Err(OperateError::NoAnswer {
                store: name,
                limit: OPENING,
            }),
        }
    }

    async fn open_at(
        &self,
        address: Address,
        keys: Option<Keyring>,
    ) -> Result<Opened, OperateError> {
        let name = address.to_string();
        let fails = |cause| cannot_open(&name, cause);
        let (runtimes, page, reaping) = match address {
            Address::Postgres(url) => {
                let mut builder = PostgresStore::builder(url)
                    .without_reaper()
                    .connections(1)
                    .statement_timeout(PAGE);
                if let Some(schema) = &self.schema {
                    builder = builder.schema(schema);
                }
                if let Some(table) = &self.table {
                    builder = builder.table(table);
                }
                let store = builder.connect().await.map_err(Box::from).map_err(fails)?;
                let reaping = Reaping::Postgres(store.clone());
                (Runtimes::over(store, keys), SLOTS_OF_A_TABLE, reaping)
            }
            Address::Sqlite { url, .. } => {
                let mut builder = SqliteStore::builder(url).without_reaper().readers(1);
                if let Some(table) = &self.table {
                    builder = builder.table(table);
                }
                let store = builder.connect().await.map_err(Box::from).map_err(fails)?;
                let reaping = Reaping::Sqlite(store.clone());
                (Runtimes::over(store, keys), SLOTS_OF_A_TABLE, reaping)
            }
            Address::Redis(url) => {
                // What it drops when its memory is full is between it and the service.
                let mut builder = RedisStore::builder(url)
                    .command_timeout(TRY)
                    .allow_eviction();
                if let Some(namespace) = &self.redis_namespace {
                    builder = builder.namespace(namespace);
                }
                let store = builder.connect().await.map_err(Box::from).map_err(fails)?;
                (
                    Runtimes::over(store, keys),
                    SLOTS_OF_REDIS,
                    Reaping::ByItself,
                )
            }
        };
        let Runtimes { verbs, lists } = runtimes.map_err(Box::from).map_err(fails)?;
        let opened = Opened {
            name,
            runtime: verbs,
            lists,
            page,
            reaping,
        };
        match opened.runtime.health().await {
            Ok(()) => Ok(opened),
            Err(cause @ StoreError::Refused { .. }) => Err(OperateError::Unusable {
                look_at: opened.reaping.look_at(),
                store: opened.name,
                cause,
            }),
            Err(cause) => Err(opened.failed(cause)),
        }
    }
}

impl Opened {
    /// What is said of an error of the store's.
    pub(crate) fn failed(&self, cause: StoreError) -> OperateError {
        OperateError::Store {
            store: self.name.clone(),
            cause,
        }
    }
}

impl Reaping {
    /// Which options may be wrong where the tables are not there.
    fn look_at(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "; look at the database, --schema and --table",
            Self::Sqlite(_) => "; look at --table",
            Self::ByItself => "",
        }
    }
}

/// Two runtimes over one store.
struct Runtimes {
    verbs: Runtime,
    lists: Runtime,
}

impl Runtimes {
    fn over(store: impl Store, keys: Option<Keyring>) -> Result<Self, PolicyError> {
        let mut builder: RuntimeBuilder = Runtime::builder(store).store_try_timeout(TRY);
        if let Some(keys) = keys {
            builder = builder.encryption(keys);
        }
        Ok(Self {
            lists: builder.clone().store_deadline(PAGE).build()?,
            verbs: builder.store_deadline(VERB).build()?,
        })
    }
}

fn cannot_open(store: &str, cause: Box<dyn Error + Send + Sync>) -> OperateError {
    OperateError::Open {
        store: store.to_owned(),
        cause,
    }
}

/// Whoever opens a SQLite file makes it if it is not there, and gives it a write-ahead log if it has
/// none: neither is for this program to do to a file that may be somebody else's.
fn look_at(file: &Path) -> Result<(), OperateError> {
    let cannot_read = |cause| OperateError::File {
        file: file.to_owned(),
        cause,
    };
    if !file.try_exists().map_err(cannot_read)? {
        return Err(OperateError::NoFile {
            file: file.to_owned(),
        });
    }
    let mut head = Vec::new();
    let opened = File::open(file).map_err(cannot_read)?;
    opened
        .take(20)
        .read_to_end(&mut head)
        .map_err(cannot_read)?;
    // <https://www.sqlite.org/fileformat.html#the_database_header>: a 2 for who writes and who reads.
    if head.starts_with(b"SQLite format 3\0") && head.get(18..20) == Some(&[2, 2]) {
        return Ok(());
    }
    Err(OperateError::NotAStore {
        file: file.to_owned(),
    })
}
