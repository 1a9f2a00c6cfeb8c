//! `list`, `inspect` and `stats`, on slots of every state.

use idem_core::{
    Call, Claim, Compression, Execution, Fingerprint, Finish, IdempotencyKey, OnCrash, Operation,
    Runtime, Scope, Slot, SlotDeriver, SlotState, Store,
    record::{Record, RecordError},
};
use idem_redis::RedisStore;
use idem_servers::{Cluster, Redis, Sentinels};
use serde_json::{Value, json};

use crate::{
    slots::{self, PERSONAL, digits, slot},
    stores,
    tool::{command, idem, idem_json, run},
};

const STATES: [&str; 5] = ["in-flight", "lapsed", "unknown", "completed", "released"];

/// Slot 1 is in flight, and so on; slot 6 is completed and expired.
async fn one_of_each(store: &impl Store) {
    slots::in_flight(store, 1).await;
    slots::lapsed(store, 2).await;
    slots::unknown(store, 3).await;
    slots::completed(store, 4).await;
    slots::released(store, 5).await;
    slots::expired(store, 6).await;
}

async fn shows_every_state(store: &impl Store, url: &str) {
    one_of_each(store).await;
    lists(url).await;
    inspects(url).await;
    counts(url).await;
    tells_apart_what_begins_alike(store, url).await;
    // It has looked, and nothing else.
    for (n, fence) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)] {
        assert_eq!(slots::fence_of(store, n).await.get(), fence);
    }
    assert!(matches!(
        slots::claim_again(store, 2).await,
        Claim::Claimed(_)
    ));
}

async fn lists(url: &str) {
    let run = idem(&["list", "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.never_says(PERSONAL);
    let line = |n: u8| {
        let short = slot(n).short().to_string();
        let line = run.stdout.lines().find(|line| line.starts_with(&short));
        line.unwrap_or_else(|| panic!("{short}: {run:?}"))
            .to_owned()
    };
    for (n, words) in [
        (1, "in flight, lease "),
        (2, "lapsed"),
        (3, "unknown"),
        (4, "completed  "),
        (5, "released"),
        (6, "completed, expired"),
    ] {
        assert!(line(n).contains(words), "{run:?}");
        // What may be resolved can be copied.
        assert_eq!(
            line(n).ends_with(&digits(n)),
            [2, 3, 5].contains(&n),
            "{run:?}"
        );
    }
    assert!(line(3).contains("for ever"), "{run:?}");

    let (run, all) = idem_json(&["list", "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(all.as_array().unwrap().len(), 6);
    let expired = all.as_array().unwrap().iter();
    let expired: Vec<_> = expired.filter(|slot| slot["expired"] == true).collect();
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0]["slot"], digits(6));
    assert_eq!(expired[0]["record_bytes"], slots::answer().len());

    for (state, number) in STATES.iter().zip([1, 1, 1, 2, 1]) {
        let (run, some) = idem_json(&["list", "--store", url, "--state", state]).await;
        assert_eq!(run.code, 0, "{run:?}");
        let some = some.as_array().unwrap();
        assert_eq!(some.len(), number, "{run:?}");
        assert!(some.iter().all(|slot| slot["state"] == *state), "{run:?}");
    }

    let (run, two) = idem_json(&["list", "--store", url, "--limit", "2"]).await;
    assert_eq!(two.as_array().unwrap().len(), 2);
    run.complains("There are more than 2: see --limit and --all.");
    let (run, all) = idem_json(&["list", "--store", url, "--all"]).await;
    assert_eq!(all.as_array().unwrap().len(), 6);
    assert_eq!(run.stderr, "");
}

async fn inspects(url: &str) {
    let run = idem(&["inspect", &digits(3), "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    for text in [
        &digits(3),
        "unknown: its owner is silent",
        "steps    charge",
        "kept     for ever",
        &format!("idem resolve {} --fence 1 --release", digits(3)),
    ] {
        run.says(text);
    }

    let run = idem(&["inspect", &digits(4).to_uppercase(), "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.says("completed: retries get its record");
    run.says("--show-answer prints the record");
    run.never_says(PERSONAL);
    let run = idem(&["inspect", &digits(4), "--store", url, "--show-answer"]).await;
    run.says("201\nlocation: /payments/7\n\n");
    run.says(PERSONAL);

    let (run, seen) = idem_json(&["inspect", &digits(4), "--store", url]).await;
    run.never_says(PERSONAL);
    assert_eq!(seen["state"], "completed");
    assert_eq!(seen["answer"], Value::Null);
    let (_, seen) = idem_json(&["inspect", &digits(4), "--store", url, "--show-answer"]).await;
    assert_eq!(seen["answer"]["status"], 201);
    assert_eq!(
        seen["answer"]["headers"],
        json!([["location", "/payments/7"]])
    );
    assert!(seen["answer"]["body"].as_str().unwrap().contains(PERSONAL));

    let (run, seen) = idem_json(&["inspect", &digits(1), "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(seen["state"], "in-flight");
    assert!(seen["lease_left_ms"].as_u64().unwrap() > 0);
    assert_eq!((&seen["attempt"], &seen["fence"]), (&json!(1), &json!(1)));

    let run = idem(&["inspect", &digits(99), "--store", url]).await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("absent");
    let (run, seen) = idem_json(&["inspect", &digits(99), "--store", url]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(seen, json!({ "slot": digits(99), "state": "absent" }));
}

async fn counts(url: &str) {
    let run = idem(&["stats", "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let bytes = 2 * slots::answer().len();
    run.says("slots      6\n");
    run.says("in flight  1  the shortest lease has 59m");
    run.says("unknown    1  nobody takes over");
    run.says(&format!(
        "completed  2  {bytes} bytes of records, 1 expired"
    ));
    let (_, counts) = idem_json(&["stats", "--store", url]).await;
    for (name, number) in [
        ("slots", 6),
        ("in_flight", 1),
        ("lapsed", 1),
        ("unknown", 1),
        ("completed", 2),
        ("released", 1),
        ("expired", 1),
        ("record_bytes", bytes),
    ] {
        assert_eq!(counts[name], number, "{counts}");
    }
}

async fn tells_apart_what_begins_alike(store: &impl Store, url: &str) {
    let alike = [7, 8].map(|last| {
        let mut bytes = [0xab; 32];
        bytes[31] = last;
        Slot::from_bytes(bytes)
    });
    for slot in alike {
        let request = slots::request(slot, slots::HOUR, OnCrash::TakeOver);
        slots::claim(store, request).await;
    }
    let (run, seen) = idem_json(&["inspect", "ABABABAB", "--store", url]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(seen["state"], "ambiguous");
    assert_eq!(
        seen["candidates"],
        json!(alike.map(|slot| slot.to_string()))
    );
    let run = idem(&["inspect", "abababab", "--store", url]).await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("2 slots begin with abababab; give more digits");
    run.says(&alike[1].to_string());

    let all_but_one = &alike[0].to_string()[..63];
    assert_eq!(
        idem(&["inspect", all_but_one, "--store", url]).await.code,
        1
    );
    let run = idem(&["inspect", &slot(4).short().to_string(), "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.says(&digits(4));
    let run = idem(&["inspect", "99999999", "--store", url]).await;
    assert_eq!(run.code, 1, "{run:?}");
    run.says("no slot begins with 99999999");
}

#[tokio::test]
async fn every_state_is_shown_at_sqlite() {
    let kept = stores::sqlite().await;
    shows_every_state(&kept.store, &kept.url).await;
}

#[tokio::test]
async fn every_state_is_shown_at_postgres() {
    let kept = stores::postgres().await;
    shows_every_state(&kept.store, &kept.url).await;
}

#[tokio::test]
async fn every_state_is_shown_at_redis() {
    let kept = stores::redis().await;
    shows_every_state(&kept.store, &kept.url).await;
}

#[tokio::test]
async fn more_than_a_page_is_listed_and_counted() {
    let kept = stores::sqlite().await;
    for number in 0..450_u16 {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let slot = Slot::from_bytes(bytes);
        let request = slots::request(slot, slots::HOUR, OnCrash::TakeOver);
        slots::claim(&kept.store, request).await;
    }
    let (_, all) = idem_json(&["list", "--all", "--store", &kept.url]).await;
    assert_eq!(all.as_array().unwrap().len(), 450);
    let (_, some) = idem_json(&["list", "--store", &kept.url]).await;
    assert_eq!(some.as_array().unwrap().len(), 100);
    let (_, counts) = idem_json(&["stats", "--store", &kept.url]).await;
    assert_eq!(counts["in_flight"], 450);
    let run = idem(&["inspect", "01c10000", "--store", &kept.url]).await;
    assert_eq!(run.code, 0, "{run:?}");
}

#[tokio::test]
async fn an_empty_store_says_so() {
    let kept = stores::sqlite().await;
    let run = idem(&["list", "--store", &kept.url]).await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "There are no slots.\n")
    );
    let (_, none) = idem_json(&["list", "--store", &kept.url]).await;
    assert_eq!(none, json!([]));
    let run = idem(&["list", "--state", "unknown", "--store", &kept.url]).await;
    assert_eq!(run.stdout, "There are no slots in this state.\n");
    let run = idem(&["stats", "--store", &kept.url]).await;
    run.says("slots      0");
}

#[tokio::test]
async fn a_cluster_is_one_store() {
    let cluster = Cluster::start().await;
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    // They are spread over its masters.
    for n in 1..=30 {
        slots::in_flight(&store, n).await;
    }
    let (run, counts) = idem_json(&["stats", "--store", &cluster.url()]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(counts["in_flight"], 30);
}

#[tokio::test]
async fn the_sentinels_master_is_the_store() {
    let sentinels = Sentinels::start(false).await;
    let store = RedisStore::connect(&sentinels.url()).await.unwrap();
    slots::unknown(&store, 1).await;
    let (run, unknown) = idem_json(&["list", "--store", &sentinels.url()]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(unknown[0]["state"], "unknown");
}

#[tokio::test]
async fn a_server_that_evicts_can_be_looked_at() {
    let directives = [("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")];
    let redis = Redis::start_with(&directives).await;
    let store = RedisStore::builder(redis.url()).allow_eviction();
    slots::unknown(&store.connect().await.unwrap(), 1).await;
    let (_, unknown) = idem_json(&["list", "--store", &redis.url()]).await;
    assert_eq!(unknown[0]["slot"], digits(1));
}

/// While a secret is rotated, a key may be stored under either.
#[tokio::test]
async fn a_key_is_looked_for_under_each_secret_that_is_named() {
    let kept = stores::sqlite().await;
    let (operation, key) = (Operation::new("o"), IdempotencyKey::new("k").unwrap());
    let old = SlotDeriver::keyed("idem", b"old").slot(&operation, &Scope::GLOBAL, &key);
    slots::claim(
        &kept.store,
        slots::request(old, slots::HOUR, OnCrash::Refuse),
    )
    .await;
    let inspect = async |secrets: &[&str]| {
        let by_key = [
            "inspect",
            "--operation",
            "o",
            "--scope",
            "global",
            "--key",
            "k",
        ];
        let store = ["--store", kept.url.as_str()];
        let secrets: Vec<_> = secrets
            .iter()
            .flat_map(|name| ["--secret-env", name])
            .collect();
        let mut command = command(&[&by_key[..], &store, &secrets].concat());
        command.env("IDEM_OLD", "old").env("IDEM_NEW", "new");
        run(command).await
    };
    for secrets in [
        &["IDEM_OLD"][..],
        &["IDEM_NEW", "IDEM_OLD"],
        &["-", "IDEM_OLD"],
    ] {
        let run = inspect(secrets).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.says(&old.to_string());
    }
    for secrets in [&["IDEM_NEW"][..], &["IDEM_NEW", "-"], &[]] {
        assert_eq!(inspect(secrets).await.code, 1);
    }
}

#[tokio::test]
async fn a_compressed_record_is_shown_expanded() {
    let kept = stores::sqlite().await;
    let builder = Runtime::builder(kept.store.clone());
    let service = builder.compress(Compression::default()).build().unwrap();
    let rows = "{\"state\":\"paid\"},".repeat(1000);
    let record = Record::Value(rows.clone().into()).encode();
    let plain = record.len();
    let call = Call::at(
        Operation::new("report"),
        slot(1),
        Fingerprint::from_bytes([9; 32]),
        service.settings(),
    );
    let work = async { Finish::Record { answer: (), record } };
    let done = service.execute(call, work).await;
    assert!(matches!(done, Execution::Ran { .. }));
    match kept.store.inspect(slot(1)).await.unwrap().unwrap().state {
        SlotState::Completed { record, .. } => {
            assert_eq!(Record::decode(&record), Err(RecordError::Compressed));
        }
        other => panic!("{other:?}"),
    }

    let looks = ["inspect", &digits(1), "--show-answer", "--store", &kept.url];
    idem(&looks).await.says(&rows);
    let (_, seen) = idem_json(&looks).await;
    assert_eq!(seen["answer"]["body"], rows);
    assert_eq!(seen["record_bytes"], plain);
    assert_eq!(seen["sealed_under"], Value::Null);
    assert_eq!(seen["unopened"], Value::Null);
}
