//! Slots that somebody has damaged, at a real server: no claim, no second execution, and an error
//! that says what is wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Claim, Fence, IdempotencyKey, OnceError, Operation, Runtime, Scope, Slot, Store, StoreError,
    Written,
};
use idem_servers::Redis;

use super::common::{MINUTE, RETENTION, again, completed, connect, grant, request, told};

const OWNER: &str = "0123456789abcdef0123456789abcdef";

/// What is wrong, the value (`PRINT` is the fingerprint), and the key's lifetime in milliseconds.
const DAMAGED: &[(&str, &str, u64)] = &[
    ("nothing", "", 60_000),
    ("a line end", "\n", 60_000),
    (
        "a field is missing",
        "idem1 completed 1 1 - PRINT 1000\nrecord",
        60_000,
    ),
    ("two are missing", "idem1 completed 1 1 -\nrecord", 60_000),
    (
        "the line has no end",
        "idem1 completed 1 1 - OWNER PRINT 1000",
        60_000,
    ),
    (
        "the fence is a word",
        "idem1 in-flight one 1 - OWNER PRINT 60000\n",
        60_000,
    ),
    (
        "the fence is negative",
        "idem1 in-flight -1 1 - OWNER PRINT 60000\n",
        60_000,
    ),
    (
        "the fence is huge",
        "idem1 in-flight 18446744073709551615 1 - OWNER PRINT 60000\n",
        60_000,
    ),
    (
        "the fence is no number of 64 bits",
        "idem1 in-flight 99999999999999999999999999 1 - OWNER PRINT 60000\n",
        60_000,
    ),
    (
        "the attempt is a float",
        "idem1 in-flight 1 1.5 - OWNER PRINT 60000\n",
        60_000,
    ),
    (
        "the span is negative",
        "idem1 in-flight 1 1 - OWNER PRINT -60000\n",
        60_000,
    ),
    (
        "the span is no number",
        "idem1 completed 1 1 - OWNER PRINT x\nrecord",
        60_000,
    ),
    (
        "the state is unknown",
        "idem1 finished 1 1 - OWNER PRINT 1000\nrecord",
        60_000,
    ),
    (
        "the version is newer",
        "idem2 completed 1 1 - OWNER PRINT 1000\nrecord",
        60_000,
    ),
    ("it is a record without a header", "idem\u{1}\u{1}", 60_000),
    ("it is another program's", "{\"session\": 1}", 60_000),
    (
        "a step is cut",
        "idem1 in-flight 1 1 - OWNER PRINT 60000\n6 400\ncharge",
        60_000,
    ),
    (
        "a step's size is a lie",
        "idem1 released 1 1 - OWNER PRINT 0\n99999999999999999999 1\nx",
        60_000,
    ),
];

fn key(slot: Slot) -> String {
    format!("idem:{slot}")
}

async fn put(redis: &Redis, slot: Slot, value: &str, print: &str, lifetime: u64) {
    let value = value.replace("OWNER", OWNER).replace("PRINT", print);
    let lifetime = lifetime.to_string();
    redis
        .command(&["SET", &key(slot), &value, "PX", &lifetime])
        .await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_damaged_slot_is_an_error_to_every_verb_and_stays_as_it_is() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    for (what, value, lifetime) in DAMAGED {
        let request = request();
        let print = hex(request.fingerprint.as_bytes());
        put(&redis, request.slot, value, &print, *lifetime).await;
        let claim = store.claim(request).await;
        let error = claim.expect_err(what);
        assert!(
            matches!(
                error,
                StoreError::Corrupt { .. } | StoreError::Interrupted(_)
            ),
            "{what}: {error:?}"
        );
        assert!(!told(&error).is_empty());
        let grant = grant(&request, Fence::FIRST);
        let complete = store.complete(grant, Bytes::from("r"), RETENTION).await;
        assert_ne!(complete.ok(), Some(Written::Done), "{what}");
        let renew = store.renew(grant, MINUTE).await;
        assert_ne!(renew.ok(), Some(Written::Done), "{what}");
        store.inspect(request.slot).await.expect_err(what);
    }
}

#[tokio::test]
async fn a_key_that_holds_no_string_or_does_not_expire_is_corrupt() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let (list, hash, timeless) = (request(), request(), completed(&store, "answer").await);
    redis.command(&["RPUSH", &key(list.slot), "idem1"]).await;
    redis
        .command(&["HSET", &key(hash.slot), "fence", "1"])
        .await;
    redis.command(&["PERSIST", &key(timeless.slot)]).await;
    for request in [list, hash, timeless] {
        let error = store.claim(again(request)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        let error = store.inspect(request.slot).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    }
}

/// A fence that Lua's numbers cannot count on from: whoever is told to own the slot owns it alone.
#[tokio::test]
async fn fences_that_do_not_grow_any_more_own_nothing_twice() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let first = request();
    let print = hex(first.fingerprint.as_bytes());
    let lapsed = "idem1 in-flight 9007199254740992 1 - OWNER PRINT 60000\n";
    put(&redis, first.slot, lapsed, &print, 60_000).await;
    let Claim::Claimed(claimed) = store.claim(first).await.unwrap() else {
        panic!("the lease is over");
    };
    let other = store.claim(again(first)).await.unwrap();
    assert!(matches!(other, Claim::InFlight { .. }), "{other:?}");
    let stranger = grant(&again(first), claimed.fence);
    let record = Bytes::from("another's");
    let complete = store.complete(stranger, record, RETENTION).await;
    assert_eq!(complete.unwrap(), Written::Fenced);
}

#[tokio::test]
async fn a_runtime_runs_nothing_over_a_damaged_slot() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let runtime = Runtime::builder(store)
        .store_deadline(Duration::from_millis(500))
        .build()
        .unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let once = async |key: &str| {
        let runs = Arc::clone(&runs);
        let work = move || async move {
            runs.fetch_add(1, SeqCst);
            Ok::<_, std::io::Error>("done".to_owned())
        };
        runtime.once("job", &Scope::GLOBAL, key, &(), work).await
    };
    let slot_of = |key: &str| {
        let name = IdempotencyKey::new(key).unwrap();
        runtime.slot(&Operation::new("job"), &Scope::GLOBAL, &name)
    };
    once("sample").await.unwrap();
    // The fingerprint stands in every slot of this payload.
    let sample: Vec<u8> = redis
        .query(&["GET", &key(slot_of("sample"))])
        .await
        .unwrap();
    let sample = String::from_utf8_lossy(&sample);
    let print = sample.split(' ').nth(6).unwrap().to_owned();

    for (index, (what, value, lifetime)) in DAMAGED.iter().enumerate() {
        let name = format!("k{index}");
        put(&redis, slot_of(&name), value, &print, *lifetime).await;
        let ended = once(&name).await;
        assert!(
            matches!(ended, Err(OnceError::Store(_))),
            "{what}: {ended:?}"
        );
    }
    // The header is whole, and the record behind it is not.
    for (index, record) in ["", "record", "idem\u{1}\u{2}\u{3}abc", "idem\u{9}"]
        .iter()
        .enumerate()
    {
        let name = format!("r{index}");
        let value = format!("idem1 completed 1 1 - OWNER PRINT 1000\n{record}");
        put(&redis, slot_of(&name), &value, &print, 60_000).await;
        let ended = once(&name).await;
        assert!(
            matches!(ended, Err(OnceError::Record(_))),
            "{record}: {ended:?}"
        );
    }
    // Another's fingerprint, or what is left of one's own, answers nobody.
    for (index, print) in ["00".repeat(32), "ab".to_owned()].iter().enumerate() {
        let name = format!("p{index}");
        let value = "idem1 completed 1 1 - OWNER PRINT 1000\nrecord";
        put(&redis, slot_of(&name), value, print, 60_000).await;
        let ended = once(&name).await;
        assert!(
            matches!(ended, Err(OnceError::KeyReused)),
            "{print}: {ended:?}"
        );
    }
    assert_eq!(runs.load(SeqCst), 1);
}
