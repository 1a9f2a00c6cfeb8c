//! A PostgreSQL server starts, answers, and survives what it is there for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::time::{Duration, Instant};

use idem_servers::{Postgres, Proxy, until};
use sqlx::{Connection, Executor, PgConnection};

/// How long a client waits for what will not come.
const SILENCE: Duration = Duration::from_millis(200);

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn ask(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT 1").fetch_one(connection).await
}

/// A server with a table.
async fn start() -> Postgres {
    let start = Instant::now();
    let postgres = Postgres::start().await;
    println!("postgres: {:?}", start.elapsed());
    postgres.execute("CREATE TABLE t (n int)").await;
    postgres
}

async fn count(postgres: &Postgres) -> String {
    let count = postgres.text("SELECT count(*)::text FROM t").await;
    count.unwrap()
}

#[tokio::test]
async fn it_answers_by_tcp_and_by_its_socket() {
    let postgres = start().await;
    for url in [postgres.url(), postgres.socket_url()] {
        let mut connection = connect(&url).await;
        let insert = "INSERT INTO t VALUES (1)";
        connection.execute(insert).await.unwrap();
        let by: Option<String> =
            sqlx::query_scalar("SELECT host(inet_server_addr()) || ':' || inet_server_port()")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        let tcp = url == postgres.url();
        assert_eq!(by, tcp.then(|| format!("127.0.0.1:{}", postgres.port())));
    }
    assert_eq!(count(&postgres).await, "2");
    assert_eq!(postgres.text("SELECT NULL::text").await, None);
    assert_eq!(postgres.text("SELECT 'x' WHERE false").await, None);

    postgres.create_database("an \"other").await;
    postgres.create_database("other").await;
    let mut other = connect(&postgres.url_of("other")).await;
    assert!(other.execute("SELECT * FROM t").await.is_err());
    let user: String = sqlx::query_scalar("SELECT rolname::text FROM pg_roles WHERE rolsuper")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(user, "idem");
}

#[tokio::test]
async fn nothing_is_taken_from_its_durability() {
    let postgres = Postgres::start_with(&[("deadlock_timeout", "50ms")]).await;
    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("deadlock_timeout", "50ms"),
    ] {
        let shown = postgres.text(&format!("SHOW {name}")).await;
        assert_eq!(shown.as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
#[should_panic(expected = "unrecognized configuration parameter")]
async fn a_server_that_does_not_start_says_why() {
    let _ = Postgres::start_with(&[("no_such_setting", "1")]).await;
}

#[tokio::test]
#[should_panic(expected = "relation \"nowhere\" does not exist at character")]
async fn a_statement_that_fails_says_why() {
    // As in the log, where the error says at which character.
    let postgres = Postgres::start().await;
    postgres.execute("SELECT * FROM nowhere").await;
}

#[tokio::test]
async fn what_was_committed_survives_a_crash() {
    let postgres = start().await;
    let mut connection = connect(&postgres.url()).await;
    connection
        .execute("INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let mut open = connection.begin().await.unwrap();
    open.execute("INSERT INTO t VALUES (2)").await.unwrap();

    let first = postgres.pid();
    postgres.kill();
    assert!(!postgres.is_running());
    assert!(open.commit().await.is_err());
    assert!(PgConnection::connect(&postgres.url()).await.is_err());
    postgres.restart().await;
    assert!(postgres.is_running() && postgres.pid() != first);
    assert_eq!(count(&postgres).await, "1");

    // Also one that runs.
    postgres.execute("INSERT INTO t VALUES (3)").await;
    postgres.restart().await;
    assert_eq!(count(&postgres).await, "2");
}

#[tokio::test]
async fn a_killed_backend_ends_all_connections_and_the_server_recovers() {
    let postgres = start().await;
    let mut one = connect(&format!("{}?application_name=one", postgres.url())).await;
    let mut other = connect(&format!("{}?application_name=other", postgres.url())).await;
    one.execute("INSERT INTO t VALUES (1)").await.unwrap();
    let pids = postgres.backends("one").await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut one)
        .await
        .unwrap();
    assert_eq!(pids, [pid.cast_unsigned()]);
    assert_eq!(postgres.backends("nobody").await, []);

    let postmaster = postgres.pid();
    postgres.kill_backend(pids[0]);
    assert!(ask(&mut one).await.is_err());
    assert!(ask(&mut other).await.is_err());
    postgres.until_ready().await;
    assert_eq!(postgres.pid(), postmaster);
    assert_eq!(postgres.backends("other").await, []);
    let mut again = connect(&postgres.url()).await;
    assert_eq!(ask(&mut again).await.unwrap(), 1);
    assert_eq!(count(&postgres).await, "1");
}

#[tokio::test]
async fn a_stopped_server_is_silent_and_goes_on_afterwards() {
    let postgres = start().await;
    let mut connection = connect(&postgres.url()).await;
    assert_eq!(ask(&mut connection).await.unwrap(), 1);
    postgres.stop();
    assert!(postgres.is_running());
    let mut answer = Box::pin(ask(&mut connection));
    let silent = tokio::time::timeout(SILENCE, &mut answer).await;
    assert!(silent.is_err());
    let url = postgres.url();
    let stranger = PgConnection::connect(&url);
    assert!(tokio::time::timeout(SILENCE, stranger).await.is_err());
    postgres.resume();
    assert_eq!(answer.await.unwrap(), 1);
    assert_eq!(count(&postgres).await, "0");
}

/// Everything can be used from a task that moves between threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once() {
    let [one, other] = [1, 2].map(|n| {
        tokio::spawn(async move {
            let postgres = start().await;
            for _ in 0..n {
                postgres.execute("INSERT INTO t VALUES (1)").await;
            }
            postgres.create_database("other").await;
            assert_eq!(postgres.backends("nobody").await, []);
            postgres.restart().await;
            postgres
        })
    });
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert_ne!(one.port(), other.port());
    assert_eq!(count(&one).await, "1");
    assert_eq!(count(&other).await, "2");
    one.kill();
    assert_eq!(count(&other).await, "2");
}

#[tokio::test]
async fn a_proxy_loses_the_answer_to_a_commit() {
    let postgres = start().await;
    let proxy = Proxy::start(postgres.port()).await;
    let mut connection = connect(&postgres.url_through(&proxy)).await;
    connection.execute("BEGIN").await.unwrap();
    let insert = "INSERT INTO t VALUES (1)";
    connection.execute(insert).await.unwrap();

    proxy.drop_replies();
    let commit = tokio::spawn(async move {
        let commit = connection.execute("COMMIT");
        let committed = tokio::time::timeout(Duration::from_secs(10), commit).await;
        committed.expect("it is told sooner")
    });
    until("it is applied", async || count(&postgres).await == "1").await;
    assert!(!commit.is_finished());
    proxy.cut();
    assert!(commit.await.unwrap().is_err());
    proxy.heal();
    let mut connection = connect(&postgres.url_through(&proxy)).await;
    assert_eq!(ask(&mut connection).await.unwrap(), 1);
}

#[tokio::test]
async fn a_proxy_cuts_and_refuses() {
    let postgres = start().await;
    let proxy = Proxy::start(postgres.port()).await;
    let url = postgres.url_through(&proxy);
    let named = format!("{url}?application_name=named");
    let mut connection = connect(&named).await;
    proxy.cut();
    assert!(ask(&mut connection).await.is_err());
    until("the server has noticed", async || {
        postgres.backends("named").await.is_empty()
    })
    .await;

    let mut connection = connect(&url).await;
    proxy.refuse();
    assert!(ask(&mut connection).await.is_err());
    assert!(PgConnection::connect(&url).await.is_err());
    proxy.heal();
    assert_eq!(ask(&mut connect(&url).await).await.unwrap(), 1);
}
