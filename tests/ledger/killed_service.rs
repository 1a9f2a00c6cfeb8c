//! The service is killed, at each point and at any moment.

use axum::http::StatusCode;
use futures_util::future::join_all;
use idem_servers::{Postgres, until};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{Connection, PgConnection};

use crate::{
    bank::{Books, Transfer, are_copies, prove, until_stopped},
    common::Lab,
};

/// In the handler, and after the commit.
const POINTS: [&str; 6] = [
    "claimed", "noted", "debited", "credited", "entered", "answered",
];
const RUNS: usize = 20;

/// One node stops at the point and is killed there, while another has the same
/// request and waits; then the client asks again.
async fn killed_at_each_point(books: Books) {
    let other = books.node().await;
    let mut node = books.node().await;
    let mut transfers = 0;
    for point in POINTS {
        for _ in 0..RUNS {
            let transfer = Transfer::number(transfers);
            transfers += 1;
            let first = transfer.to(&node).header("stop-at", point.as_bytes());
            let killed = async {
                until_stopped(node.pid()).await;
                let waiting = transfer.to(&other).try_send();
                let kill = async { crate::bank::signal(node.pid(), "KILL") };
                tokio::join!(waiting, kill).0
            };
            let (unanswered, waited) = tokio::join!(first.try_send(), killed);
            assert!(unanswered.is_none(), "{unanswered:?}");
            let mut answers: Vec<_> = waited
                .into_iter()
                .filter(|answer| answer.status == StatusCode::CREATED)
                .collect();
            drop(node);
            node = books.node().await;
            answers.push(transfer.insist(&node).await);
            answers.push(transfer.insist(&other).await);
            are_copies(&answers);
            prove(&other, transfers).await;
        }
    }
}

#[tokio::test]
async fn on_postgres_at_each_point_of_its_handler_and_after_the_commit() {
    killed_at_each_point(Books::postgres().await).await;
}

#[tokio::test]
async fn on_sqlite_at_each_point_of_its_handler_and_after_the_commit() {
    killed_at_each_point(Books::sqlite()).await;
}

/// Makes each commit wait for the advisory lock 77, which the answer holds.
pub(crate) async fn holding_commits(server: &Postgres) -> PgConnection {
    server
        .execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NULL; END $$",
        )
        .await;
    server
        .execute(
            "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON entries \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .await;
    PgConnection::connect(&server.url()).await.unwrap()
}

pub(crate) async fn hold(holder: &mut PgConnection, lock: bool) {
    let sql = if lock {
        "SELECT pg_advisory_lock(77)"
    } else {
        "SELECT pg_advisory_unlock(77)"
    };
    sqlx::query(sql).execute(holder).await.unwrap();
}

/// The backend whose commit waits.
pub(crate) async fn committing(server: &Postgres) -> u32 {
    let waiting = "SELECT pid::text FROM pg_locks \
                   WHERE locktype = 'advisory' AND objid = 77 AND NOT granted";
    until("a commit waits", || async {
        server.text(waiting).await.is_some()
    })
    .await;
    server.text(waiting).await.unwrap().parse().unwrap()
}

#[tokio::test]
async fn on_postgres_between_the_record_and_the_end_of_the_commit() {
    let books = Books::postgres().await;
    let Books::Postgres(server) = &books else {
        unreachable!()
    };
    let mut node = books.node().await;
    let mut holder = holding_commits(server).await;
    for number in 0..RUNS {
        let transfer = Transfer::number(number);
        hold(&mut holder, true).await;
        let killed = async {
            committing(server).await;
            crate::bank::signal(node.pid(), "KILL");
        };
        let (unanswered, ()) = tokio::join!(transfer.to(&node).try_send(), killed);
        assert!(unanswered.is_none());
        hold(&mut holder, false).await;
        drop(node);
        node = books.node().await;
        let answers = [transfer.insist(&node).await, transfer.insist(&node).await];
        are_copies(&answers);
        prove(&node, number + 1).await;
    }
}

/// Many at once, and the node is killed when some of them are answered.
async fn killed_under_load(books: Books, seed: u64) {
    const ROUNDS: usize = 15;
    const AT_ONCE: usize = 12;
    let mut random = StdRng::seed_from_u64(seed);
    let mut node = books.node().await;
    for round in 0..ROUNDS {
        let transfers: Vec<_> = (0..AT_ONCE)
            .map(|number| Transfer::number(round * AT_ONCE + number))
            .collect();
        let after = random.random_range(0..AT_ONCE);
        let killing = Killing::new(&node, after);
        let firsts = transfers.iter().map(|transfer| async {
            let answer = transfer.to(&node).try_send().await;
            killing.answered();
            answer
        });
        let firsts = join_all(firsts).await;
        drop(node);
        node = books.node().await;
        for (transfer, first) in transfers.iter().zip(firsts) {
            let mut answers = vec![transfer.insist(&node).await, transfer.insist(&node).await];
            answers.extend(first.filter(|answer| answer.status == StatusCode::CREATED));
            are_copies(&answers);
        }
        prove(&node, (round + 1) * AT_ONCE).await;
    }
}

/// Kills a node when so many requests are answered.
struct Killing {
    pid: u32,
    left: std::sync::atomic::AtomicUsize,
}

impl Killing {
    fn new(node: &Lab, after: usize) -> Self {
        Self {
            pid: node.pid(),
            left: std::sync::atomic::AtomicUsize::new(after),
        }
    }

    fn answered(&self) {
        use std::sync::atomic::Ordering::SeqCst;
        let left = self
            .left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if left == Ok(1) || left == Ok(0) {
            crate::bank::signal(self.pid, "KILL");
        }
    }
}

#[tokio::test]
async fn on_postgres_at_any_moment() {
    killed_under_load(Books::postgres().await, 1).await;
}

#[tokio::test]
async fn on_sqlite_at_any_moment() {
    killed_under_load(Books::sqlite(), 2).await;
}
