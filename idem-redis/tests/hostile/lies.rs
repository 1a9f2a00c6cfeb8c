//! Whatever the peer answers, it neither wins a claim nor completes one, and never hangs anybody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Fence, ListQuery, OnceError, OwnerId, Resolution, Resolved, Runtime, Scope, Store,
    StoreError, Written,
};
use tokio::time::timeout;

use super::{
    common::{MINUTE, RETENTION, grant, request, told},
    liar::{Liar, Lie},
};

/// Far more than any verb may take here.
const IN_TIME: Duration = Duration::from_secs(10);

fn words(words: &[&str]) -> Lie {
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let all: String = words.iter().map(bulk).collect();
    Lie::bytes(format!("*{}\r\n{all}", words.len()))
}

fn lies() -> Vec<Lie> {
    let nested = "*1\r\n".repeat(200) + ":1\r\n";
    let deep_but_read = "*1\r\n".repeat(90) + ":1\r\n";
    let bytes = |bytes: &str| Lie::bytes(bytes.to_owned());
    vec![
        // Types that no script answers with.
        bytes("+OK\r\n"),
        bytes(":0\r\n"),
        bytes(":2\r\n"),
        bytes(":-1\r\n"),
        bytes("$-1\r\n"),
        bytes("$1\r\n1\r\n"),
        bytes("*-1\r\n"),
        bytes("*0\r\n"),
        bytes("*1\r\n:1\r\n"),
        bytes("*1\r\n$-1\r\n"),
        bytes("%1\r\n+claimed\r\n:1\r\n"),
        bytes("~1\r\n+claimed\r\n"),
        bytes("#t\r\n"),
        bytes(",1.0\r\n"),
        bytes("(1\r\n"),
        bytes("_\r\n"),
        bytes("|1\r\n+a\r\n+b\r\n:2\r\n"),
        bytes("=15\r\ntxt:Some string\r\n"),
        bytes("*5\r\n+claimed\r\n+2\r\n+2\r\n+-\r\n+\r\n"),
        // Words that are nearly a script's.
        words(&["claimed"]),
        words(&["claimed", "2", "2"]),
        words(&["claimed", "two", "2", "-", ""]),
        words(&["claimed", "-2", "2", "-", ""]),
        words(&["claimed", "0", "0", "-", ""]),
        words(&["claimed", "99999999999999999999999", "2", "-", ""]),
        words(&["claimed", "2", "2", "?", ""]),
        words(&["claimed", "2", "2", "-", "6 999999999999\ncharge"]),
        words(&["claimed", "2", "2", "-", "", "surplus"]),
        words(&["CLAIMED", "2", "2", "-", ""]),
        words(&["completed", "1000", ""]),
        words(&["completed", "1000", "idem1 completed 1 1 - x y 1\nrecord"]),
        words(&["completed", "soon", "record"]),
        words(&["in-flight", "-5"]),
        words(&["unreadable", "\u{1b}[31m\n"]),
        words(&["unreadable"]),
        words(&["timeless"]),
        words(&["", "", ""]),
        words(&["done"]),
        // Not RESP, or not all of it.
        bytes("HTTP/1.1 200 OK\r\n\r\n"),
        bytes("\0\0\0\0\r\n"),
        bytes(&nested),
        bytes(&deep_but_read),
        bytes("$5\r\nhelloXX:1\r\n"),
        bytes(":one\r\n"),
        bytes("*1\r\n$7\r\nclai"),
        // A list that stands still.
        bytes("*2\r\n$1\r\n5\r\n*0\r\n"),
        bytes("$9223372036854775807\r\nx"),
        bytes("$-9223372036854775808\r\n"),
        bytes("*9223372036854775807\r\n:1\r\n"),
        bytes("%-3\r\n"),
        Lie::Silence,
        Lie::HangUp(Bytes::new()),
        Lie::HangUp(Bytes::from("*5\r\n$7\r\nclaimed\r\n$1\r\n2\r\n")),
        Lie::Drip(Bytes::from("*1\r\n$7\r\nclaimed\r\n")),
        // Errors.
        bytes("-ERR \u{1b}[2J\nfine: all is well\r\n"),
        bytes("-\r\n"),
        bytes("-MOVED\r\n"),
        bytes("-MOVED 1 127.0.0.1:1\r\n"),
        bytes("-ASK 99999999 nowhere\r\n"),
        bytes("-NOSCRIPT\r\n"),
        bytes("-READONLY\r\n"),
        bytes("-WRONGTYPE\r\n"),
        bytes("!5\r\nERR x\r\n"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_wins_a_claim_answers_one_or_stores_a_record() {
    let told = futures_util::future::join_all(lies().into_iter().map(async |lie| {
        let liar = Liar::start().await;
        let store = liar.store().await;
        liar.says(lie.clone());
        let request = request();
        let answer = timeout(IN_TIME, store.claim(request)).await;
        let error = answer.expect("a verb ends at its deadline");
        let error = error.expect_err(&format!("a claim that {lie:?} has answered"));

        let grant = grant(&request, Fence::FIRST);
        let record = Bytes::from("record");
        let verbs = async {
            let step = Checkpoint {
                name: "step".to_owned(),
                value: Bytes::from("1"),
            };
            assert_ne!(
                store.complete(grant, record, RETENTION).await.ok(),
                Some(Written::Done)
            );
            assert_ne!(
                store.checkpoint(grant, step).await.ok(),
                Some(Written::Done)
            );
            assert_ne!(store.renew(grant, MINUTE).await.ok(), Some(Written::Done));
            assert_ne!(store.release(grant, MINUTE).await.ok(), Some(Written::Done));
            let release = Resolution::Release { ttl: MINUTE };
            let resolved = store
                .resolve(request.slot, Fence::FIRST, OwnerId::random(), release)
                .await;
            assert_ne!(resolved.ok(), Some(Resolved::Done));
            assert!(store.inspect(request.slot).await.is_err());
            let query = ListQuery {
                state: None,
                after: None,
                limit: 10,
            };
            assert!(store.list(query).await.is_err());
        };
        timeout(IN_TIME, verbs)
            .await
            .expect("verbs end at their deadlines");

        // Whoever spoke the truth again would be believed again.
        liar.says(Lie::bytes(":1\r\n"));
        let again = || store.claim(request);
        let claim = timeout(IN_TIME, super::common::insist(again)).await;
        super::common::won(&claim.unwrap().unwrap());
        error
    }))
    .await;
    assert_eq!(told.len(), lies().len());
    for error in &told {
        let text = self::told(error);
        assert!(
            !text.contains("\u{1b}") && !text.contains("\nfine"),
            "{text:?}"
        );
        assert!(text.len() < 1000, "{text}");
    }
    // Each kind of trouble has its own error.
    let some = |is: fn(&StoreError) -> bool| told.iter().any(is);
    assert!(some(|error| matches!(error, StoreError::Interrupted(_))));
    assert!(some(|error| matches!(error, StoreError::TimedOut(_))));
    assert!(some(|error| matches!(error, StoreError::Corrupt { .. })));
    assert!(some(|error| matches!(error, StoreError::Refused { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_over_a_liar_refuses_and_runs_nothing() {
    let runs = Arc::new(AtomicUsize::new(0));
    let asked = lies().into_iter().map(|lie| {
        let runs = Arc::clone(&runs);
        async move {
            let liar = Liar::start().await;
            let runtime = Runtime::builder(liar.store().await)
                .store_deadline(Duration::from_millis(500))
                .build()
                .unwrap();
            liar.says(lie.clone());
            let work = move || async move {
                runs.fetch_add(1, SeqCst);
                Ok::<_, std::io::Error>(1)
            };
            let once = runtime.once("job", &Scope::GLOBAL, "k", &(), work);
            let ended = timeout(IN_TIME, once).await.expect("it ends in time");
            assert!(
                matches!(ended, Err(OnceError::Store(_))),
                "{lie:?}: {ended:?}"
            );
        }
    });
    futures_util::future::join_all(asked).await;
    assert_eq!(runs.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_not_well() {
    let asked = lies().into_iter().map(async |lie| {
        let liar = Liar::start().await;
        let store = liar.store().await;
        store.health().await.unwrap();
        liar.says(lie.clone());
        liar.says_so_of_itself();
        let health = timeout(IN_TIME, store.health()).await;
        (lie, health.expect("in time"))
    });
    for (lie, health) in futures_util::future::join_all(asked).await {
        // A script that denies nothing says so by an empty list.
        let empty = matches!(&lie, Lie::Bytes(bytes) if bytes == "*0\r\n");
        assert_eq!(health.is_ok(), empty, "{lie:?}: {health:?}");
    }
}
