//! Which store is opened, and what is said of one that cannot be.

use std::fs;

use tokio::net::TcpListener;

use crate::{
    slots, stores,
    tool::{command, idem, idem_json, run},
};

/// It exits with 2 and says it.
async fn refuses(args: &[&str], says: &str) {
    let run = idem(args).await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains(says);
    run.never_says("hunter2");
    assert_eq!(run.stdout, "");
}

#[tokio::test]
async fn an_absent_file_is_said_to_be_absent_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("absent.db");
    let url = format!("sqlite:{}", file.display());
    let slot = slots::digits(1);
    for args in [
        &["list"][..],
        &["stats"],
        &["inspect", &slot],
        &["inspect", "01010101"],
        &["resolve", &slot, "--fence", "1", "--release", "--yes"],
        &["purge", "--expired"],
    ] {
        refuses(&[args, &["--store", &url]].concat(), "there is no file").await;
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.db");
    // A database of somebody else's, without a write-ahead log.
    let mut head = b"SQLite format 3\0".to_vec();
    head.extend([16, 0, 1, 1]);
    head.resize(4096, 0);
    for content in [&head[..], b"", b"text"] {
        fs::write(&file, content).unwrap();
        let url = format!("sqlite:{}", file.display());
        refuses(&["list", "--store", &url], "is no store of idem").await;
        assert_eq!(fs::read(&file).unwrap(), content);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn tables_that_are_not_there_are_not_made() {
    let sqlite = stores::sqlite().await;
    let args = ["stats", "--store", &sqlite.url, "--table", "other"];
    for _ in 0..2 {
        refuses(&args, "the table other is not there").await;
    }
    refuses(&args, "look at --table").await;
    let postgres = stores::postgres().await;
    let args = ["stats", "--store", &postgres.url, "--schema", "other"];
    for _ in 0..2 {
        refuses(&args, "is not there").await;
    }
    refuses(&args, "look at the database, --schema and --table").await;
    let schemas = "SELECT count(*)::text FROM pg_namespace WHERE nspname = 'other'";
    assert_eq!(postgres.keeper.text(schemas).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn the_namespace_the_schema_and_the_table_are_the_services() {
    let redis = stores::redis().await;
    let of_shop = idem_redis::RedisStore::builder(&redis.url).namespace("shop");
    slots::unknown(&of_shop.connect().await.unwrap(), 1).await;
    let (_, slots) = idem_json(&["list", "--store", &redis.url]).await;
    assert_eq!(slots.as_array().unwrap().len(), 0);
    let args = ["list", "--store", &redis.url, "--redis-namespace", "shop"];
    let (_, slots) = idem_json(&args).await;
    assert_eq!(slots.as_array().unwrap().len(), 1);

    let postgres = stores::postgres().await;
    let of_shop = idem_postgres::PostgresStore::builder(&postgres.url)
        .schema("shop")
        .table("keys");
    let of_shop = of_shop.without_reaper().connect().await.unwrap();
    of_shop.migrate().await.unwrap();
    slots::unknown(&of_shop, 1).await;
    let url = postgres.url.replace("idem@", "idem:hunter2@");
    let args = [
        "stats", "--store", &url, "--schema", "shop", "--table", "keys",
    ];
    let run = idem(&args).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.says("unknown    1");
    run.says("postgres://…@127.0.0.1:");
    run.never_says("hunter2");
}

#[tokio::test]
async fn the_environment_may_name_the_store() {
    let kept = stores::sqlite().await;
    let mut list = command(&["list"]);
    list.env("IDEM_STORE", &kept.url);
    assert_eq!(run(list).await.code, 0);
    let mut help = command(&["list", "--help"]);
    help.env("IDEM_STORE", "postgres://ana:hunter2@db/shop");
    let help = run(help).await;
    help.says("IDEM_STORE");
    help.never_says("hunter2");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_its_password() {
    for (url, says) in [
        ("memory", "within its service's process"),
        ("sqlite::memory:", "within its service's process"),
        ("mysql://ana:hunter2@db", "is no store"),
        ("payments.db", "is no store"),
        ("postgres://ana:hunter2@db:port/shop", "cannot be opened"),
        ("redis-sentinel://ana:hunter2@db", "MASTER-NAME"),
    ] {
        refuses(&["list", "--store", url], says).await;
    }
    refuses(&["list"], "--store").await;
    for (url, option, says) in [
        ("redis://db", "--table", "it is for PostgreSQL and SQLite"),
        ("redis://db", "--schema", "it is for PostgreSQL"),
        ("sqlite:db", "--schema", "it is for PostgreSQL"),
        ("sqlite:db", "--redis-namespace", "it is for Redis"),
        ("postgres://db", "--redis-namespace", "it is for Redis"),
    ] {
        refuses(&["list", "--store", url, option, "x"], says).await;
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_given_up() {
    for scheme in ["postgres", "redis"] {
        let dead = format!("{scheme}://ana:hunter2@127.0.0.1:1/shop");
        let dead = dead.replace("1/shop", if scheme == "redis" { "1/0" } else { "1/shop" });
        refuses(&["list", "--store", &dead], "Connection refused").await;
        // It takes connections, and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let silent_url = format!("{scheme}://ana:hunter2@127.0.0.1:{port}/0");
        refuses(&["list", "--store", &silent_url], "127.0.0.1").await;
    }
}

#[tokio::test]
async fn what_is_typed_wrong_is_told_how_it_is_right() {
    let kept = stores::sqlite().await;
    for (args, says) in [
        (&["inspect", "k-1"][..], "64 hexadecimal digits"),
        (&["inspect", "abc"], "at least the first 8"),
        (&["inspect"], "--operation"),
        (&["inspect", "--operation", "POST /p"], "--scope"),
        (
            &[
                "inspect",
                "--operation",
                "o",
                "--scope",
                "ana",
                "--key",
                "k",
            ],
            "user=ana",
        ),
        (
            &[
                "inspect",
                "--operation",
                "o",
                "--scope",
                "global",
                "--key",
                "k",
                "--secret-env",
                "IDEM_NO_SUCH_SECRET",
            ],
            "IDEM_NO_SUCH_SECRET",
        ),
        (
            &["resolve", "01010101", "--fence", "1", "--release"],
            "logs show only the first 8",
        ),
        (&["list", "--state", "lost"], "in-flight"),
    ] {
        refuses(&[args, &["--store", &kept.url]].concat(), says).await;
    }
}
