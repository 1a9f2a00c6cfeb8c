//! `purge`, which deletes what no request can see any more.

use idem_core::Store;
use serde_json::json;

use crate::{
    slots, stores,
    tool::{idem, idem_json},
};

/// Six that are due, one that is past its ttl, one that is not.
async fn purges(store: &impl Store, url: &str) {
    for n in 1..=6 {
        slots::due(store, n).await;
    }
    slots::expired(store, 7).await;
    slots::completed(store, 8).await;
    let run = idem(&["purge", "--store", url]).await;
    assert_eq!(run.code, 2, "{run:?}");
    run.complains("--expired");

    let purge = ["purge", "--expired", "--batch", "2", "--store", url];
    let one_statement = [&purge[..], &["--max-time", "0s"]].concat();
    let (run, done) = idem_json(&one_statement).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((&done["deleted"], &done["more"]), (&json!(2), &json!(true)));
    let run = idem(&purge).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.says("deleted 4 expired slots in ");
    let (_, done) = idem_json(&purge).await;
    assert_eq!(
        (&done["deleted"], &done["more"]),
        (&json!(0), &json!(false))
    );

    let (_, left) = idem_json(&["list", "--store", url]).await;
    assert_eq!(left.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_has_expired_is_deleted_at_sqlite() {
    let kept = stores::sqlite().await;
    purges(&kept.store, &kept.url).await;
    assert_eq!(kept.store.reap(100).await.unwrap(), 0);
}

#[tokio::test]
async fn what_has_expired_is_deleted_at_postgres() {
    let kept = stores::postgres().await;
    purges(&kept.store, &kept.url).await;
    assert_eq!(kept.store.reap(100).await.unwrap(), 0);
}

#[tokio::test]
async fn redis_has_nothing_to_purge() {
    // There need not be one.
    let url = "redis://127.0.0.1:1";
    let run = idem(&["purge", "--expired", "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.says("nothing to do: Redis deletes what has expired by itself");
    let (run, done) = idem_json(&["purge", "--expired", "--store", url]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(done["deleted"], 0);
}
