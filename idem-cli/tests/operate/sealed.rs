//! Records that a service seals, with its keys and without.

use base64::{Engine, engine::general_purpose::STANDARD};
use idem_core::{
    Call, Execution, Fingerprint, Finish, OnCrash, Operation, Replay, Runtime, Seal, Slot, Store,
    encryption::{Key, Keyring},
};
use idem_sqlite::SqliteStore;

use crate::{
    slots::{self, PERSONAL, digits, slot},
    stores,
    tool::{command, idem, idem_json, run},
};

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

fn given(id: &str, key: [u8; 32]) -> String {
    format!("{id}={}", STANDARD.encode(key))
}

/// A node of the service.
fn node(store: &SqliteStore, keys: Keyring) -> Runtime {
    let builder = Runtime::builder(store.clone());
    builder.encryption(keys).build().unwrap()
}

fn only(id: &str, key: [u8; 32]) -> Keyring {
    Keyring::new(Key::new(id, &key).unwrap())
}

fn call(node: &Runtime, n: u8) -> Call {
    Call::at(
        Operation::new("pay"),
        slot(n),
        // That of the slots that are made here.
        Fingerprint::from_bytes([9; 32]),
        node.settings(),
    )
}

/// What the service answers: it runs, or replays.
async fn pay(node: &Runtime, n: u8) -> Execution<()> {
    let work = async {
        Finish::Record {
            answer: (),
            record: slots::answer(),
        }
    };
    node.execute(call(node, n), work).await
}

#[tokio::test]
async fn a_sealed_record_is_shown_with_its_key_and_named_without() {
    let kept = stores::sqlite().await;
    let node = node(&kept.store, only("old", OLD));
    assert!(matches!(pay(&node, 1).await, Execution::Ran { .. }));
    let looks = ["inspect", &digits(1), "--show-answer", "--store", &kept.url];

    let run_ = idem(&looks).await;
    assert_eq!(run_.code, 0, "{run_:?}");
    run_.says("sealed   under the key \"old\": say --encryption-key old=…");
    run_.never_says(PERSONAL);
    let (_, seen) = idem_json(&looks).await;
    assert_eq!(seen["sealed_under"], "old");
    assert!(seen["unopened"].as_str().unwrap().contains("has no keys"));

    let old = given("old", OLD);
    let with_key = [&looks[..], &["--encryption-key", &old]].concat();
    let shown = idem(&with_key).await;
    shown.says("sealed   under the key \"old\", and open");
    shown.says(PERSONAL);
    let (_, seen) = idem_json(&with_key).await;
    assert_eq!(
        (&seen["sealed_under"], &seen["unopened"]),
        (&"old".into(), &serde_json::Value::Null)
    );

    // By the environment, among others, and by its first digits.
    let mut by_environment = command(&["inspect", &digits(1)[..8], "--show-answer"]);
    by_environment.env("IDEM_STORE", &kept.url);
    by_environment.env(
        "IDEM_ENCRYPTION_KEYS",
        format!("{},{old}", given("new", NEW)),
    );
    run(by_environment).await.says(PERSONAL);

    // Another key of that name.
    let wrong = given("old", NEW);
    let wrong = idem(&[&looks[..], &["--encryption-key", &wrong]].concat()).await;
    wrong.says("does not open with the key \"old\"");
    wrong.never_says(PERSONAL);

    slots::completed(&kept.store, 2).await;
    let plain = ["inspect", &digits(2), "--store", &kept.url];
    idem(&[&plain[..], &["--encryption-key", &old]].concat())
        .await
        .says("is not sealed");
    let no_key = [&plain[..], &["--encryption-key", "old=hunter2"]].concat();
    let refused = idem(&no_key).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    refused.complains("ID=BASE64");
    refused.never_says("hunter2");
}

#[tokio::test]
async fn a_decision_is_sealed_with_the_key_and_not_made_unsealed_unawares() {
    let kept = stores::sqlite().await;
    let store = &kept.store;
    let service = node(store, only("old", OLD));
    pay(&service, 1).await;
    for n in [2, 3] {
        slots::unknown(store, n).await;
    }
    let decide = |n: &str, more: &[&str]| {
        let args = ["resolve", n, "--fence", "1", "--store", &kept.url];
        let decision = [
            "--complete",
            "--status",
            "201",
            "--body",
            "by hand",
            "--yes",
        ];
        let all = [&args[..], &decision, more].concat();
        all.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()
    };
    let decided = async |n: u8, more: &[&str]| {
        let args = decide(&digits(n), more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        idem(&args).await
    };
    let unawares = decided(2, &[]).await;
    assert_eq!(unawares.code, 2, "{unawares:?}");
    unawares.complains("--encryption-key");
    unawares.complains("\"old\"");
    assert_eq!(slots::fence_of(store, 2).await.get(), 1);

    let (new, old) = (given("new", NEW), given("old", OLD));
    let keys = ["--encryption-key", &new, "--encryption-key", &old];
    let sealed = decided(2, &keys).await;
    assert_eq!(sealed.code, 0, "{sealed:?}");
    sealed.says("sealed under the key \"new\"");
    let kept_bytes = format!("{:?}", store.inspect(slot(2)).await.unwrap().unwrap().state);
    assert!(!kept_bytes.contains("by hand"));
    let rotated = only("new", NEW);
    let rotated = node(
        store,
        rotated.also_reads(Key::new("old", &OLD).unwrap()).unwrap(),
    );
    assert!(matches!(
        pay(&rotated, 2).await,
        Execution::Replayed(Replay { record, .. }) if String::from_utf8_lossy(&record).contains("by hand")
    ));

    let on_purpose = decided(3, &["--unsealed"]).await;
    assert_eq!(on_purpose.code, 0, "{on_purpose:?}");
    assert_eq!(seal_of(&service, slot(3)).await, None);
    // A release writes nothing that could be sealed.
    slots::silent(store, slot(4), OnCrash::TakeOver).await;
    let four = digits(4);
    let release = [
        "resolve",
        &four,
        "--fence",
        "1",
        "--store",
        &kept.url,
        "--release",
        "--yes",
    ];
    assert_eq!(idem(&release).await.code, 0);
}

/// The key that a record is sealed under.
async fn seal_of(node: &Runtime, slot: Slot) -> Option<String> {
    match node.inspect_sealed(slot).await.unwrap().unwrap().seal {
        Seal::None => None,
        Seal::Opened(key) => Some(key.to_string()),
        Seal::Unopened(error) => error.key().map(ToString::to_string),
    }
}
