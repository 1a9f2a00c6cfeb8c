//! Two processes over one Redis: what one scope stores is counted once for both.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::connect;
use idem_core::{
    Execution, FingerprintBuilder, Finish, IdempotencyKey, Limit, Limits, Operation, Runtime,
    SLOT_BYTES, Scope,
};
use idem_servers::Redis;

const RECORD: usize = 10_000;

async fn node(redis: &Redis) -> Runtime {
    let limits = Limits {
        stored_bytes: Some(3 * (SLOT_BYTES + RECORD as u64)),
        ..Limits::NONE
    };
    let builder = Runtime::builder(connect(&redis.url()).await).limits(limits);
    builder.build().unwrap()
}

async fn pay(node: &Runtime, user: &str, key: u32) -> Execution<()> {
    let call = node.call(
        Operation::new("pay"),
        &Scope::new("user", user.to_owned()).unwrap(),
        &IdempotencyKey::new(key.to_string()).unwrap(),
        FingerprintBuilder::new().finish(),
        node.settings(),
    );
    let record = Bytes::from(vec![b'r'; RECORD]);
    let execution = node
        .execute(call, async { Finish::Record { record, answer: () } })
        .await;
    // What the meter says is waited for by nobody but this test.
    let _ = node.drain(Duration::from_secs(10)).await;
    execution
}

#[tokio::test]
async fn two_nodes_share_what_a_scope_may_store() {
    let redis = Redis::start().await;
    let (first, second) = (node(&redis).await, node(&redis).await);
    for (node, key) in [(&first, 1), (&second, 2), (&first, 3)] {
        let ran = pay(node, "ana-the-user", key).await;
        assert!(matches!(ran, Execution::Ran { .. }), "{ran:?}");
    }
    let refused = pay(&first, "ana-the-user", 4).await;
    let Execution::Limited { limit, retry_after } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(limit, Limit::StoredBytes);
    let window = first.settings().retention().total();
    assert!(
        retry_after <= window && retry_after > window / 2,
        "{retry_after:?}"
    );
    // The other finds out with one more.
    let one_more = pay(&second, "ana-the-user", 5).await;
    assert!(matches!(one_more, Execution::Ran { .. }), "{one_more:?}");
    let refused = pay(&second, "ana-the-user", 6).await;
    assert!(matches!(refused, Execution::Limited { .. }), "{refused:?}");

    for node in [&first, &second] {
        let replayed = pay(node, "ana-the-user", 2).await;
        assert!(matches!(replayed, Execution::Replayed(_)), "{replayed:?}");
        let bob = pay(node, "bob", 7).await;
        assert!(
            matches!(bob, Execution::Ran { .. } | Execution::Replayed(_)),
            "{bob:?}"
        );
    }

    // One key for each scope, which ends with its window, and shows nobody's name.
    let keys: Vec<String> = redis.query(&["KEYS", "*"]).await.unwrap();
    let meters: Vec<&String> = keys.iter().filter(|key| key.contains("spent")).collect();
    assert_eq!(meters.len(), 2, "{keys:?}");
    for meter in meters {
        assert_eq!(meter.len(), "idem:spent:".len() + 32, "{meter}");
        let left: i64 = redis.query(&["PTTL", meter]).await.unwrap();
        assert!(
            left > 0 && u128::try_from(left).unwrap() <= window.as_millis(),
            "{left}"
        );
    }
    assert!(
        !keys.iter().any(|key| key.contains("ana-the-user")),
        "{keys:?}"
    );
}

/// Something else stands under the meter's key: it begins anew, and never blocks for good.
#[tokio::test]
async fn a_damaged_meter_begins_anew() {
    let redis = Redis::start().await;
    let first = node(&redis).await;
    pay(&first, "ana", 1).await;
    let keys: Vec<String> = redis.query(&["KEYS", "idem:spent:*"]).await.unwrap();
    let [meter] = &keys[..] else {
        panic!("{keys:?}");
    };
    for damage in [["SET", meter, "nonsense"], ["SET", meter, "99999999 5"]] {
        redis.command(&damage).await;
        let second = node(&redis).await;
        let ran = pay(&second, "ana", rand::random()).await;
        assert!(matches!(ran, Execution::Ran { .. }), "{ran:?}");
        let ran = pay(&second, "ana", rand::random()).await;
        assert!(matches!(ran, Execution::Ran { .. }), "{ran:?}");
        let left: i64 = redis.query(&["PTTL", meter]).await.unwrap();
        assert!(left > 0, "{left}");
    }
}
