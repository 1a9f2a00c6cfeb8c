//! `resolve`: by an operator's decision, and only if nobody was quicker.

use idem_core::{
    Claim, FingerprintBuilder, IdempotencyKey, OnCrash, Operation, Overrides, Runtime, Scope,
    StateKind, Store,
};
use serde_json::{Value, json};

use crate::{
    slots::{self, HOUR, digits, fence_of, kind_of, slot},
    stores,
    terminal::AtTerminal,
    tool::{idem, idem_json},
};

/// `idem resolve`, to be given a decision.
fn resolve<'a>(n: &'a str, fence: &'a str, url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["resolve", n, "--fence", fence, "--store", url];
    [&args[..], more].concat()
}

async fn resolves(store: &impl Store, url: &str) {
    releases(store, url).await;
    completes(store, url).await;
    leaves_alone_what_is_not_its_to_end(store, url).await;
}

async fn releases(store: &impl Store, url: &str) {
    slots::unknown(store, 1).await;
    assert_eq!(slots::claim_again(store, 1).await, Claim::Unknown);
    let one = digits(1);
    let run = idem(&resolve(
        &one,
        "1",
        url,
        &["--release", "--by", "ana", "--yes"],
    ))
    .await;
    assert_eq!(run.code, 0, "{run:?}");
    run.says("state    unknown: its owner is silent");
    run.says("steps    charge");
    run.says("done: it is released");
    for text in ["idem::audit", &one, "ana", "release", "done"] {
        run.complains(text);
    }
    assert_eq!(kind_of(store, slot(1)).await, Some(StateKind::Released));
    // Fence 2 was the decision's.
    let Claim::Claimed(retry) = slots::claim_again(store, 1).await else {
        panic!("a retry may not run");
    };
    assert_eq!((retry.fence.get(), retry.attempt), (3, 2));
    assert_eq!(retry.checkpoints.len(), 1);
}

async fn completes(store: &impl Store, url: &str) {
    slots::lapsed(store, 2).await;
    let two = digits(2);
    let answer = [
        "--complete",
        "--status",
        "201",
        "--body",
        "{}",
        "--ttl",
        "1h",
        "--grace",
        "0s",
        "--yes",
    ];
    let (run, done) = idem_json(&resolve(&two, "1", url, &answer)).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(done["outcome"], "done");
    assert_eq!(done["decision"], "complete");
    assert_eq!(done["by"], "operator");
    assert_eq!(done["before"]["state"], "lapsed");
    assert!(matches!(
        slots::claim_again(store, 2).await,
        Claim::Completed(_)
    ));
    let view = store.inspect(slot(2)).await.unwrap().unwrap();
    assert!(view.deleted_in.unwrap() <= HOUR);

    // The same once more: the fence is another, and the first record stays.
    let (run, again) = idem_json(&resolve(&two, "1", url, &answer)).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(again["outcome"], "moved");
    let (run, _) = idem_json(&resolve(&two, "2", url, &["--release", "--yes"])).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(kind_of(store, slot(2)).await, Some(StateKind::Completed));
}

async fn leaves_alone_what_is_not_its_to_end(store: &impl Store, url: &str) {
    slots::in_flight(store, 3).await;
    let three = digits(3);
    let run = idem(&resolve(&three, "1", url, &["--release", "--yes"])).await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("still owned: its owner's lease has 59m");
    run.complains("still owned");
    let (_, owned) = idem_json(&resolve(&three, "1", url, &["--release", "--yes"])).await;
    assert_eq!(owned["outcome"], "still-owned");
    assert!(owned["lease_left_ms"].as_u64().unwrap() > 0);

    let run = idem(&resolve(&three, "7", url, &["--release", "--yes"])).await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("moved: the slot has another fence than 7");
    run.says(&format!("idem inspect {three}"));
    assert_eq!(kind_of(store, slot(3)).await, Some(StateKind::InFlight));
    assert_eq!(fence_of(store, 3).await.get(), 1);

    let (run, absent) = idem_json(&resolve(&digits(99), "1", url, &["--release", "--yes"])).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(
        (&absent["outcome"], &absent["before"]),
        (&json!("absent"), &json!(null))
    );
}

#[tokio::test]
async fn a_decision_is_applied_once_at_sqlite() {
    let kept = stores::sqlite().await;
    resolves(&kept.store, &kept.url).await;
}

#[tokio::test]
async fn a_decision_is_applied_once_at_postgres() {
    let kept = stores::postgres().await;
    resolves(&kept.store, &kept.url).await;
}

#[tokio::test]
async fn a_decision_is_applied_once_at_redis() {
    let kept = stores::redis().await;
    resolves(&kept.store, &kept.url).await;
}

#[tokio::test]
async fn without_a_terminal_it_wants_a_yes() {
    let kept = stores::sqlite().await;
    slots::unknown(&kept.store, 1).await;
    let run = idem(&resolve(&digits(1), "1", &kept.url, &["--release"])).await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("say --yes");
    run.never_says("idem::audit");
    assert_eq!(fence_of(&kept.store, 1).await.get(), 1);
}

#[tokio::test]
async fn on_a_terminal_it_asks_and_takes_a_no() {
    let kept = stores::sqlite().await;
    slots::unknown(&kept.store, 1).await;
    let one = digits(1);
    let decision = ["--complete", "--status", "201", "--body", "{}"];
    for no in ["", "n", "yess"] {
        let mut asked = AtTerminal::start(&resolve(&one, "1", &kept.url, &decision));
        asked.until_asked("[y/N]").await;
        let run = asked.answer(no).await;
        assert_eq!(run.code, 1, "{run:?}");
        run.complains(
            "complete 01010101 with the answer 201, headers content-type, a body of 2 bytes?",
        );
        run.says("state    unknown");
        run.says("declined: nothing was changed");
        assert_eq!(fence_of(&kept.store, 1).await.get(), 1);
    }
    let mut asked = AtTerminal::start(&resolve(&one, "1", &kept.url, &decision));
    asked.until_asked("[y/N]").await;
    let run = asked.answer("y").await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        kind_of(&kept.store, slot(1)).await,
        Some(StateKind::Completed)
    );
}

#[tokio::test]
async fn who_was_quicker_while_it_asked_wins() {
    let kept = stores::sqlite().await;
    slots::lapsed(&kept.store, 1).await;
    let one = digits(1);
    let mut asked = AtTerminal::start(&resolve(&one, "1", &kept.url, &["--release"]));
    asked.until_asked("[y/N]").await;
    let retry = slots::claim_again(&kept.store, 1).await;
    assert!(matches!(retry, Claim::Claimed(_)));
    let run = asked.answer("yes").await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("moved: the slot has another fence than 1");
    assert_eq!(
        kind_of(&kept.store, slot(1)).await,
        Some(StateKind::InFlight)
    );
    assert_eq!(fence_of(&kept.store, 1).await.get(), 2);
}

#[tokio::test]
async fn the_question_leaves_stdout_to_the_document() {
    let kept = stores::sqlite().await;
    slots::unknown(&kept.store, 1).await;
    let one = digits(1);
    let args = resolve(&one, "1", &kept.url, &["--release", "--json"]);
    let mut asked = AtTerminal::start(&args);
    asked.until_asked("[y/N]").await;
    let run = asked.answer("y").await;
    run.complains("state    unknown");
    let done: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(done["outcome"], "done");
}

/// The slot is at work, so there is nothing to ask.
#[tokio::test]
async fn it_does_not_ask_in_vain() {
    let kept = stores::sqlite().await;
    slots::in_flight(&kept.store, 1).await;
    let one = digits(1);
    let run = AtTerminal::start(&resolve(&one, "1", &kept.url, &["--release"]));
    let run = run.answer("y").await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("still owned");
    let run = AtTerminal::start(&resolve(&one, "4", &kept.url, &["--release"]));
    let run = run.answer("y").await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("moved");
}

#[tokio::test]
async fn a_jobs_value_is_what_the_job_returns() {
    let kept = stores::sqlite().await;
    let runtime = Runtime::builder(kept.store.clone()).build().unwrap();
    let operation = Operation::new("send-invoice");
    let key = IdempotencyKey::new("inv-1").unwrap();
    let slot = runtime.slot(&operation, &Scope::GLOBAL, &key);
    let mut fingerprint = FingerprintBuilder::new();
    fingerprint.typed(&("a@b.c", 1250)).unwrap();
    let mut request = slots::request(slot, HOUR, OnCrash::Refuse);
    request.fingerprint = fingerprint.finish();
    let grant = slots::claim(&kept.store, request).await;
    let moment = std::time::Duration::from_millis(1);
    let _ = kept.store.renew(grant, moment).await.unwrap();
    idem_servers::until("its lease is over", async || {
        kind_of(&kept.store, slot).await == Some(StateKind::Unknown)
    })
    .await;

    let job = [
        "--operation",
        "send-invoice",
        "--scope",
        "global",
        "--key",
        "inv-1",
    ];
    let inspect = [&["inspect", "--store", &kept.url], &job[..]].concat();
    let (run, seen) = idem_json(&inspect).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(seen["slot"], slot.to_string());
    let digits = slot.to_string();
    let value = ["--complete", "--value", "\"mail-17\"", "--yes"];
    let run = idem(&resolve(&digits, "1", &kept.url, &value)).await;
    assert_eq!(run.code, 0, "{run:?}");

    let once = runtime
        .once_with(
            &Overrides::NONE,
            operation,
            &Scope::GLOBAL,
            "inv-1",
            &("a@b.c", 1250),
            || async { Ok::<_, std::convert::Infallible>(String::from("ran again")) },
        )
        .await
        .unwrap();
    assert!(once.replayed);
    assert_eq!(once.value, "mail-17");
}

#[tokio::test]
async fn a_record_that_cannot_be_is_refused_before_the_store_is_opened() {
    let url = "postgres://127.0.0.1:1/none";
    for (decision, says) in [
        (&["--complete", "--status", "99"][..], "from 200 to 599"),
        (&["--complete", "--value", "mail-17"], "not JSON"),
        (&["--complete"], "--status"),
        (&["--release", "--ttl", "0s"], "a ttl of 0s"),
        (
            &["--complete", "--status", "200", "--body", "@/no/such/file"],
            "/no/such/file",
        ),
        (&["--release", "--by", " "], "--by NAME"),
        (&[], "--release"),
    ] {
        let run = idem(&resolve(
            &digits(1),
            "1",
            url,
            &[decision, &["--yes"]].concat(),
        ))
        .await;
        assert_eq!(run.code, 2, "{run:?}");
        run.complains(says);
    }
}
