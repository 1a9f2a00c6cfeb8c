//! A service is killed in the middle of a payment, and an operator says what became of it.

use http::StatusCode;
use idem_servers::until;
use tempfile::TempDir;

use crate::{
    service::Lab,
    tool::{idem, idem_json},
};

/// It takes longer than any test, and its handler refuses to be taken over.
const ORDER: &str = r#"{"sleep_ms":4000000000,"note":"n"}"#;

const PAYMENT: [&str; 6] = [
    "--operation",
    "POST /lab-refuse/{name}",
    "--scope",
    "user=ana",
    "--key",
    "k-1",
];

/// A payment of which nobody knows what became, at a service that runs again.
struct Crashed {
    directory: TempDir,
    store: String,
    lab: Lab,
    slot: String,
}

impl Crashed {
    async fn during(order: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", directory.path().join("lab.db").display());
        let lab = Lab::start(&store, directory.path()).await;
        lab.begin_to_pay("k-1", order).await;
        lab.kill().await;
        let lab = Lab::start(&store, directory.path()).await;
        let inspect = [&["inspect", "--store", &store], &PAYMENT[..]].concat();
        until("its lease is over", async || {
            let (run, seen) = idem_json(&inspect).await;
            assert_eq!(run.code, 0, "{run:?}");
            seen["state"] == "unknown"
        })
        .await;
        let (_, seen) = idem_json(&inspect).await;
        let slot = seen["slot"].as_str().unwrap().to_owned();
        let answer = lab.pay("k-1", order).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        Self {
            directory,
            store,
            lab,
            slot,
        }
    }

    async fn resolve(&self, decision: &[&str]) {
        let args = [
            "resolve",
            &self.slot,
            "--fence",
            "1",
            "--store",
            &self.store,
            "--yes",
        ];
        let run = idem(&[&args[..], decision].concat()).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.says("done");
    }
}

#[tokio::test]
async fn a_retry_gets_the_answer_that_the_operator_gave() {
    let crashed = Crashed::during(ORDER).await;
    let answer = [
        "--complete",
        "--status",
        "201",
        "--header",
        "Location: /payments/17",
        "--body",
        r#"{"id":17}"#,
    ];
    crashed.resolve(&answer).await;
    let retry = crashed.lab.pay("k-1", ORDER).await;
    assert_eq!(retry.status, StatusCode::CREATED);
    assert_eq!(retry.headers["location"], "/payments/17");
    assert_eq!(retry.headers["content-type"], "application/json");
    assert_eq!(retry.headers["content-length"], "9");
    assert_eq!(retry.headers["idempotent-replayed"], "true");
    assert!(!retry.headers.contains_key("idempotency-expired"));
    assert_eq!(retry.body["id"], 17);
    assert_eq!(crashed.lab.effects().await, 1);
    // Another payload under the key is a conflict, as after any answer.
    let other = crashed.lab.pay("k-1", r#"{"note":"other"}"#).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    drop(crashed.directory);
}

#[tokio::test]
async fn a_retry_runs_when_the_operator_releases_it() {
    let crashed = Crashed::during(ORDER).await;
    crashed.resolve(&["--release"]).await;
    crashed.lab.begin_to_pay("k-1", ORDER).await;
    assert_eq!(crashed.lab.effects().await, 2);
    let args = ["list", "--state", "in-flight", "--store", &crashed.store];
    let (_, at_work) = idem_json(&args).await;
    assert_eq!(at_work[0]["slot"], crashed.slot);
    // Fence 2 was the operator's.
    assert_eq!(
        (&at_work[0]["fence"], &at_work[0]["attempt"]),
        (&3.into(), &2.into())
    );
}
