//! Nodes of the ledger example over one database, and what must be true of its books.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use axum::http::{Method, StatusCode};
use idem_servers::{Postgres, until};
use serde_json::json;

use crate::common::{Answer, Call, Lab, PATIENCE};

/// Where the books are.
pub(crate) enum Books {
    Postgres(Postgres),
    Sqlite(tempfile::TempDir),
}

impl Books {
    pub(crate) async fn postgres() -> Self {
        // Transfers back and forth meet in deadlocks: a second each, by default.
        let settings = [("deadlock_timeout", "10ms")];
        Self::Postgres(Postgres::start_with(&settings).await)
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Sqlite(directory) => format!("sqlite:{}/ledger.db", directory.path().display()),
        }
    }

    pub(crate) async fn node(&self) -> Lab {
        let url = self.url();
        let environment = [("IDEM_STORE", url.as_str()), ("LEDGER_STOPS", "yes")];
        Lab::start_example("ledger", &environment).await
    }
}

/// One transfer. Its amount is no other's, so that the books tell how often it happened.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    pub(crate) key: String,
    amount: u32,
}

impl Transfer {
    pub(crate) fn number(number: usize) -> Self {
        Self {
            key: format!("transfer-{number}"),
            amount: u32::try_from(number).unwrap() + 1,
        }
    }

    pub(crate) fn to<'a>(&self, node: &'a Lab) -> Call<'a> {
        // Back and forth, so that nobody runs out of money.
        let (payer, payee) = match self.amount % 4 {
            0 => ("ana", "bob"),
            1 => ("bob", "ana"),
            2 => ("ana", "cleo"),
            _ => ("cleo", "ana"),
        };
        node.call(Method::POST, "/transfers")
            .user(payer)
            .key(&self.key)
            .json(&json!({"to": payee, "amount": self.amount}))
    }

    /// Sends it again, as a client does, until the answer is the handler's.
    pub(crate) async fn insist(&self, node: &Lab) -> Answer {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.to(node).try_send().await {
                if answer.status == StatusCode::CREATED {
                    return answer;
                }
                assert!(may_pass(&answer), "{answer:?}");
            }
            assert!(Instant::now() < give_up, "no answer to {self:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What a client that insists is told on its way: nothing else.
pub(crate) fn may_pass(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            ["store-unavailable", "not-committed"].contains(&answer.problem().as_str())
        }
        StatusCode::CONFLICT => answer.problem() == "in-progress",
        // The handler's own word for a statement that failed: released.
        StatusCode::INTERNAL_SERVER_ERROR => answer.body == "the books cannot be reached",
        _ => false,
    }
}

/// All copies of one answer are the same.
pub(crate) fn are_copies(answers: &[Answer]) {
    for pair in answers.windows(2) {
        assert_eq!(
            (pair[0].status, &pair[0].body),
            (pair[1].status, &pair[1].body)
        );
    }
}

/// The books are balanced, and have this many transfers: each of them once, since
/// each of so many keys was answered with its own.
pub(crate) async fn prove(node: &Lab, transfers: usize) {
    let audit = node.call(Method::GET, "/audit").send().await.json();
    assert_eq!(audit["balanced"], true, "{audit}");
    assert_eq!(audit["transfers"], transfers, "{audit}");
}

/// Waits until the process has stopped itself.
pub(crate) async fn until_stopped(pid: u32) {
    until("the node has stopped", || async move {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    })
    .await;
}

pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}
