//! PostgreSQL's own process of a transaction is ended, and the service lives.

use axum::http::StatusCode;
use idem_servers::Postgres;

use crate::{
    bank::{Books, Transfer, are_copies, may_pass, prove, signal, until_stopped},
    killed_service::{committing, hold, holding_commits},
};

const POINTS: [&str; 6] = [
    "claimed", "noted", "debited", "credited", "entered", "answered",
];

#[derive(Clone, Copy)]
enum By {
    /// `pg_terminate_backend`: that one session ends.
    Administrator,
    /// SIGKILL: PostgreSQL ends all sessions, and recovers.
    Kill,
}

impl By {
    async fn end(self, server: &Postgres, pid: u32) {
        match self {
            Self::Administrator => {
                // With the time to wait for it: else it might go on for a statement.
                let ended = format!("SELECT pg_terminate_backend({pid}, 10000)::text");
                assert_eq!(server.text(&ended).await.as_deref(), Some("true"));
            }
            Self::Kill => {
                server.kill_backend(pid);
                server.until_ready().await;
            }
        }
    }
}

/// The session that has a transaction open, or has had one last.
async fn session(server: &Postgres) -> u32 {
    let latest = "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'idem' \
                  ORDER BY coalesce(state, '') = 'idle in transaction' DESC, query_start DESC LIMIT 1";
    server.text(latest).await.unwrap().parse().unwrap()
}

async fn ended_at_each_point(by: By, runs: usize) {
    let books = Books::postgres().await;
    let Books::Postgres(server) = &books else {
        unreachable!()
    };
    let node = books.node().await;
    let mut transfers = 0;
    for point in POINTS {
        for _ in 0..runs {
            let transfer = Transfer::number(transfers);
            transfers += 1;
            let first = transfer.to(&node).header("stop-at", point.as_bytes());
            let ended = async {
                until_stopped(node.pid()).await;
                by.end(server, session(server).await).await;
                signal(node.pid(), "CONT");
            };
            let (first, ()) = tokio::join!(first.send(), ended);
            let mut answers = vec![transfer.insist(&node).await, transfer.insist(&node).await];
            if first.status == StatusCode::CREATED {
                assert_eq!(point, "answered");
                answers.push(first);
            } else {
                assert!(may_pass(&first), "{point}: {first:?}");
            }
            are_copies(&answers);
            prove(&node, transfers).await;
        }
    }
}

#[tokio::test]
async fn by_an_administrator_at_each_point() {
    ended_at_each_point(By::Administrator, 12).await;
}

#[tokio::test]
async fn by_a_kill_at_each_point() {
    ended_at_each_point(By::Kill, 4).await;
}

async fn ended_in_the_commit(by: By, runs: usize) {
    Box::pin(ending_in_the_commit(by, runs)).await;
}

/// Nobody knows then whether it has committed: the record says.
async fn ending_in_the_commit(by: By, runs: usize) {
    let books = Books::postgres().await;
    let Books::Postgres(server) = &books else {
        unreachable!()
    };
    let node = books.node().await;
    let mut holder = Some(holding_commits(server).await);
    for number in 0..runs {
        let transfer = Transfer::number(number);
        let mut session = match holder.take() {
            Some(session) => session,
            None => <sqlx::PgConnection as sqlx::Connection>::connect(&server.url())
                .await
                .unwrap(),
        };
        hold(&mut session, true).await;
        let ended = async {
            by.end(server, committing(server).await).await;
        };
        let (first, ()) = tokio::join!(transfer.to(&node).send(), ended);
        match by {
            By::Administrator => {
                hold(&mut session, false).await;
                holder = Some(session);
            }
            // It was ended with all others.
            By::Kill => drop(session),
        }
        let mut answers = vec![transfer.insist(&node).await, transfer.insist(&node).await];
        if first.status == StatusCode::CREATED {
            answers.push(first);
        } else {
            assert!(may_pass(&first), "{first:?}");
        }
        are_copies(&answers);
        prove(&node, number + 1).await;
    }
}

#[tokio::test]
async fn by_an_administrator_between_the_record_and_the_end_of_the_commit() {
    ended_in_the_commit(By::Administrator, 12).await;
}

#[tokio::test]
async fn by_a_kill_between_the_record_and_the_end_of_the_commit() {
    ended_in_the_commit(By::Kill, 4).await;
}
