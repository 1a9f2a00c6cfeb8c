//! How a store is set up.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use idem_sql::Leased;
use sqlx::{
    AssertSqlSafe, Connection, Sqlite, SqliteConnection, SqlitePool, raw_sql,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::time::{Instant, sleep};

use crate::{
    SetupError, SqliteStore,
    error::{is_busy, of_opening},
    reaper,
    running::Running,
    schema::{self, Found, Names},
    statements::Statements,
    store::{Inner, MOST_RENEWALS},
};

/// Sets up a [`SqliteStore`].
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteStoreBuilder {
    url: String,
    table: String,
    readers: u32,
    busy_timeout: Duration,
    durable: bool,
    reap_every: Option<Duration>,
}

impl SqliteStoreBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            table: "idem_slots".to_owned(),
            readers: 4,
            busy_timeout: Duration::from_secs(2),
            durable: true,
            reap_every: Some(Duration::from_secs(60)),
        }
    }

    /// The table of the slots; `"idem_slots"` by default. Beside it there is one
    /// with its version, `idem_slots_version`.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// How many connections read beside the one that writes; 4 by default.
    pub fn readers(mut self, most: u32) -> Self {
        self.readers = most.max(1);
        self
    }

    /// How long to wait for another process that is writing; 2 seconds by default.
    /// Writers of one process queue without this.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Answers before the disk has it (`PRAGMA synchronous = NORMAL`): a power
    /// failure, not the end of the process, may then undo the last claims, records
    /// and whatever handlers have committed. Much faster. By default the disk has
    /// everything that was answered (`FULL`).
    pub fn may_lose_the_last_writes_with_the_power(mut self) -> Self {
        self.durable = false;
        self
    }

    /// How often expired rows are deleted; every minute by default.
    pub fn reap_every(mut self, interval: Duration) -> Self {
        self.reap_every = Some(interval);
        self
    }

    /// Expired rows are deleted by [`SqliteStore::reap`] only.
    pub fn without_reaper(mut self) -> Self {
        self.reap_every = None;
        self
    }

    /// Opens the file, which is made (readable by its owner only) if it is not there.
    ///
    /// Tables that are not there yet, or are older, are no error:
    /// [`SqliteStore::migrate`] is for them.
    ///
    /// # Errors
    /// [`SetupError`]: the address, the name, the file or its tables cannot be used.
    pub async fn connect(self) -> Result<SqliteStore, SetupError> {
        let names = Names::new(&self.table)?;
        if !self.url.starts_with("sqlite:") {
            let scheme = "it does not begin with sqlite:";
            return Err(SetupError::Url(sqlx::Error::Configuration(scheme.into())));
        }
        let options: SqliteConnectOptions = self.url.parse().map_err(SetupError::Url)?;
        let path = options.get_filename();
        if is_in_memory(&self.url) || path.as_os_str().is_empty() {
            return Err(SetupError::InMemory);
        }
        let path = path.to_owned();
        create(&path)?;
        let synchronous = if self.durable {
            SqliteSynchronous::Full
        } else {
            SqliteSynchronous::Normal
        };
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(self.busy_timeout);
        // SQLite has one writer. One connection for it, and who waits for it
        // queues here, in the order of their coming.
        // Its thread hands over what a batch of renewals answers at once: each further
        // turn of two threads takes long where others want the processor.
        let writer = pool(options.clone().row_buffer_size(MOST_RENEWALS), 1);
        let journal = open(&writer, self.busy_timeout)
            .await
            .map_err(|error| of_opening(&path, error))?;
        if journal != "wal" {
            return Err(SetupError::NoWriteAheadLog { found: journal });
        }
        if schema::look(&writer, &names).await? == Found::Older {
            tracing::warn!(table = %names, "the store's tables are older than this version of idem: call `store.migrate()`");
        }
        let inner = Arc::new(Inner {
            statements: Statements::new(&names),
            names,
            readers: pool(options.read_only(true), self.readers),
            writer,
            running: Running::default(),
            is_metered: AtomicBool::new(false),
        });
        if let Some(every) = self.reap_every {
            reaper::start(&inner, every);
        }
        Ok(SqliteStore { inner })
    }
}

/// sqlx reads an address so and does not show it: `:memory:` is the whole name, and
/// not a part of a file's.
fn is_in_memory(url: &str) -> bool {
    let (name, parameters) = url.split_once('?').unwrap_or((url, ""));
    let name = name.trim_start_matches("sqlite:").trim_start_matches("//");
    name == ":memory:"
        || parameters
            .split('&')
            .any(|parameter| parameter == "mode=memory")
}

/// The first connection makes the write-ahead log, for which SQLite does not wait:
/// of several processes that start with a new file, some are told that it is busy.
async fn first(writer: &SqlitePool, patience: Duration) -> Result<Leased<Sqlite>, sqlx::Error> {
    let give_up = Instant::now() + patience;
    loop {
        match Leased::from(writer).await {
            Err(error) if is_busy(&error) && Instant::now() < give_up => {
                sleep(Duration::from_millis(5)).await;
            }
            connection => return connection,
        }
    }
}

/// Opens the file, and says what its journal is.
///
/// SQLite opens it without a word to be read only where it must not write, and even
/// begins a transaction; so something is written to it too, and rolled back. If another
/// process is writing, that will do.
async fn open(writer: &SqlitePool, busy_timeout: Duration) -> Result<String, sqlx::Error> {
    let mut connection = first(writer, busy_timeout).await?;
    let journal = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *connection)
        .await?;
    set_busy_timeout(&mut connection, Duration::ZERO).await?;
    match connection.begin_with("BEGIN IMMEDIATE").await {
        Ok(mut transaction) => {
            raw_sql("CREATE TABLE IF NOT EXISTS idem_can_be_written (x)")
                .execute(&mut *transaction)
                .await?;
            transaction.rollback().await?;
        }
        Err(error) if is_busy(&error) => {}
        Err(error) => return Err(error),
    }
    set_busy_timeout(&mut connection, busy_timeout).await?;
    connection.done();
    Ok(journal)
}

async fn set_busy_timeout(
    connection: &mut SqliteConnection,
    timeout: Duration,
) -> Result<(), sqlx::Error> {
    let pragma = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
    raw_sql(AssertSqlSafe(pragma)).execute(connection).await?;
    Ok(())
}

fn pool(options: SqliteConnectOptions, most: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(most)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(5))
        // A file that is open is open.
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options)
}

/// Makes the file, before SQLite does it with what the umask leaves. The log and
/// its index get the same permissions.
fn create(path: &Path) -> Result<(), SetupError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = |error| SetupError::File {
        path: path.to_owned(),
        error,
    };
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::metadata(path).map_err(file)?;
            warn_of_readers(path, &metadata);
            Ok(())
        }
        Err(error) => Err(file(error)),
    }
}

#[cfg(unix)]
fn warn_of_readers(path: &Path, metadata: &fs::Metadata) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format_args!("{mode:o}"),
            "others than its owner can open the file, in which recorded answers are; `chmod 600` it"
        );
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path, _: &fs::Metadata) {}
