//! The file: who can read it, what else may be in it, and what is said where there is none.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use common::{Place, request, won};
use idem_core::{Store, StoreError, Transactional};
use idem_sqlite::{SetupError, SqliteStore};
use sqlx::{Executor, Row};

async fn refusal(url: &str) -> (SetupError, String) {
    let error = SqliteStore::connect(url).await.unwrap_err();
    let text = error.to_string();
    (error, text)
}

async fn pragma(pool: &sqlx::SqlitePool, name: &'static str) -> i64 {
    let row = pool.fetch_one(name).await.unwrap();
    row.get(0)
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_open_a_file_that_was_made_and_what_lies_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let store = place.store().await;
    won(&store, request(1)).await;
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", place.path().display());
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{suffix:?} is {mode:o}");
    }
}

#[tokio::test]
async fn a_file_with_tables_of_the_users_own_is_used_and_they_are_left_as_they_are() {
    let place = Place::new();
    let options = place.url().parse::<sqlx::sqlite::SqliteConnectOptions>();
    let pool = sqlx::SqlitePool::connect_with(options.unwrap().create_if_missing(true))
        .await
        .unwrap();
    pool.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO orders VALUES (7, 'tea')")
        .await
        .unwrap();
    let theirs = "SELECT group_concat(sql) FROM sqlite_master WHERE name NOT LIKE '%idem_slots%'";
    let before: String = sqlx::query_scalar(theirs).fetch_one(&pool).await.unwrap();
    pool.close().await;

    let store = place.store().await;
    won(&store, request(1)).await;

    let after: String = sqlx::query_scalar(theirs)
        .fetch_one(store.readers())
        .await
        .unwrap();
    assert_eq!(after, before);
    let what: String = sqlx::query_scalar("SELECT what FROM orders WHERE id = 7")
        .fetch_one(store.readers())
        .await
        .unwrap();
    assert_eq!(what, "tea");
}

#[cfg(unix)]
#[tokio::test]
async fn the_permissions_of_a_file_that_was_there_are_its_owners_matter() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::write(place.path(), []).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let store = place.store().await;
    won(&store, request(1)).await;
    let mode = fs::metadata(place.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);
}

#[tokio::test]
async fn a_database_in_memory_is_refused_with_what_to_use() {
    for url in [
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite://?mode=memory",
        "sqlite:some.db?mode=memory",
        "sqlite:",
        "sqlite://",
    ] {
        let (error, text) = refusal(url).await;
        assert!(matches!(error, SetupError::InMemory), "{url}: {text}");
        assert!(text.contains("name a file, or use `MemoryStore`"), "{text}");
    }
}

#[tokio::test]
async fn a_file_whose_name_only_looks_like_memory_is_a_file() {
    let place = Place::new();
    let path = place.path().with_file_name("x:memory:.db");
    let url = format!("sqlite:{}", path.display());
    SqliteStore::connect(&url).await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_how_to_write_it() {
    for url in ["payments.db", "postgres://localhost/x", "sqlite:a?mode=odd"] {
        let (error, text) = refusal(url).await;
        assert!(matches!(error, SetupError::Url(_)), "{url}: {text}");
        assert!(text.contains("write sqlite:PATH"), "{text}");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named_and_is_to_be_made() {
    let place = Place::new();
    let missing = place.path().with_file_name("missing");
    let (error, text) = refusal(&format!("sqlite:{}/idem.db", missing.display())).await;
    assert!(matches!(error, SetupError::File { .. }), "{text}");
    assert!(text.contains("missing/idem.db"), "{text}");
    assert!(text.contains("make its directory"), "{text}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_directory_is_no_file() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    let (_, text) = refusal(&place.url()).await;
    assert!(text.contains("idem.db"), "{text}");
    assert!(text.contains("not a directory"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let place = Place::new();
    let letter = "dear sir or madam, ".repeat(200);
    fs::write(place.path(), &letter).unwrap();
    let (error, text) = refusal(&place.url()).await;
    assert!(matches!(error, SetupError::NotADatabase { .. }), "{text}");
    assert!(text.contains("idem.db"), "{text}");
    assert!(text.contains("name another file"), "{text}");
    assert_eq!(fs::read_to_string(place.path()).unwrap(), letter);
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused_with_what_it_needs() {
    let place = Place::new();
    drop(place.store().await);
    // `mode=ro` and not the file's permissions: they mean nothing to root.
    for parameter in ["mode=ro", "immutable=true"] {
        let (error, text) = refusal(&format!("{}?{parameter}", place.url())).await;
        assert!(matches!(error, SetupError::ReadOnly { .. }), "{text}");
        assert!(text.contains("idem.db"), "{text}");
        assert!(text.contains("must be writable"), "{text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_without_permission_to_write_is_refused_with_what_it_needs() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::write(place.path(), []).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o400)).unwrap();
    if fs::OpenOptions::new()
        .write(true)
        .open(place.path())
        .is_ok()
    {
        // Root writes to it all the same.
        return;
    }
    let (error, text) = refusal(&place.url()).await;
    assert!(matches!(error, SetupError::ReadOnly { .. }), "{text}");
}

#[tokio::test]
async fn the_log_is_written_ahead_and_the_disk_has_what_was_answered() {
    let place = Place::new();
    let store = place.store().await;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(store.writer())
        .await
        .unwrap();
    assert_eq!(journal, "wal");
    assert_eq!(pragma(store.writer(), "PRAGMA synchronous").await, 2);
}

#[tokio::test]
async fn the_disk_lags_behind_only_where_that_is_asked_for() {
    let place = Place::new();
    let builder = place.builder().may_lose_the_last_writes_with_the_power();
    let store = builder.connect().await.unwrap();
    assert_eq!(pragma(store.writer(), "PRAGMA synchronous").await, 1);
}

#[tokio::test]
async fn readers_cannot_write() {
    let place = Place::new();
    let store = place.store().await;
    assert!(store.readers().execute("CREATE TABLE t (x)").await.is_err());
}

#[tokio::test]
async fn foreign_keys_hold_in_a_handlers_transaction() {
    let place = Place::new();
    let store = place.store().await;
    store
        .writer()
        .execute("CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a (id))")
        .await
        .unwrap();
    let begun = store.begin(request(1)).await.unwrap();
    let idem_core::Begun::Claimed(mut transaction, _) = begun else {
        unreachable!("nobody else claims it")
    };
    let dangling = transaction.execute("INSERT INTO b VALUES (1)").await;
    assert!(dangling.unwrap_err().to_string().contains("FOREIGN KEY"));
}

#[tokio::test]
async fn what_was_answered_is_there_when_the_file_is_opened_again() {
    let place = Place::new();
    let store = place.store().await;
    let granted = won(&store, request(1)).await;
    let written = store
        .complete(granted, "done".into(), common::RETENTION)
        .await;
    assert_eq!(written.unwrap(), idem_core::Written::Done);
    store.writer().close().await;
    store.readers().close().await;

    let claim = place.store().await.claim(request(1)).await.unwrap();
    assert!(
        matches!(&claim, idem_core::Claim::Completed(completed) if completed.record == "done"),
        "{claim:?}"
    );
}

#[tokio::test]
async fn a_write_that_finds_no_room_says_so_and_is_not_lost_for_a_passing_fault() {
    let place = Place::new();
    let store = place.store().await;
    let granted = won(&store, request(1)).await;
    // No page more than it has: what a full disk comes to.
    store
        .writer()
        .execute("PRAGMA max_page_count = 1")
        .await
        .unwrap();
    let record = vec![7; 1 << 20].into();
    let error = store.complete(granted, record, common::RETENTION).await;
    let Err(StoreError::Refused { reason }) = error else {
        unreachable!("{error:?}")
    };
    assert!(reason.ends_with("; the disk is full"), "{reason}");
    // The connection was closed with the error, so there is room again.
    let done = store.complete(granted, "done".into(), common::RETENTION);
    assert_eq!(done.await.unwrap(), idem_core::Written::Done);
}

#[tokio::test]
async fn another_writer_that_does_not_end_is_a_fault_that_may_pass() {
    let place = Place::new();
    let other = place.store().await;
    let builder = place.builder().busy_timeout(std::time::Duration::ZERO);
    let store = builder.connect().await.unwrap();
    let mut taken = other.writer().acquire().await.unwrap();
    taken.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = store.claim(request(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    taken.execute("ROLLBACK").await.unwrap();
    won(&store, request(1)).await;
}

#[tokio::test]
async fn only_where_there_is_no_table_is_a_migration_advised() {
    let place = Place::new();
    let store = place.builder().connect().await.unwrap();
    let error = store.claim(request(1)).await.unwrap_err().to_string();
    assert!(error.contains("`store.migrate()`"), "{error}");
    let error = store.health().await.unwrap_err().to_string();
    assert!(error.contains("`store.migrate()`"), "{error}");

    store.migrate().await.unwrap();
    store.health().await.unwrap();
    store
        .writer()
        .execute("PRAGMA query_only = 1")
        .await
        .unwrap();
    let error = store.claim(request(1)).await.unwrap_err().to_string();
    assert!(error.contains("readonly"), "{error}");
    assert!(!error.contains("migrate"), "{error}");
}
