//! Processes that are killed in the middle of it.
//!
//! The children are this very test, started again: one is killed as soon as it has
//! printed some of the keys that it has finished, and the file is looked at.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#![cfg(unix)]

mod common;

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use common::{Place, RETENTION, grant, request, won};
use idem_core::{
    Begun, Claim, Concluded, Ending, SlotState, Store, Transactional, Writes, Written,
};
use idem_sqlite::SqliteStore;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::Executor;

const FILE: &str = "IDEM_TEST_CRASHING_FILE";
const FIRST: &str = "IDEM_TEST_CRASHING_FIRST";

/// Keys of transactions are even, those of plain verbs odd.
fn is_transactional(key: u64) -> bool {
    key.is_multiple_of(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child of the others"]
async fn child() {
    // By somebody who runs the ignored tests.
    let Ok(url) = env::var(FILE) else { return };
    let first: u64 = env::var(FIRST).unwrap().parse().unwrap();
    let store = SqliteStore::builder(url)
        .busy_timeout(Duration::from_secs(30))
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    for key in first.. {
        if is_transactional(key) {
            transact(&store, key).await;
        } else {
            let granted = won(&store, request(key)).await;
            let done = store.complete(granted, record(key), RETENTION).await;
            assert_eq!(done.unwrap(), Written::Done);
        }
        println!("done {key}");
    }
}

async fn transact(store: &SqliteStore, key: u64) {
    let request = request(key);
    let begun = store.begin(request).await.unwrap();
    let Begun::Claimed(mut transaction, claimed) = begun else {
        unreachable!("keys are used once: {begun:?}")
    };
    sqlx::query("INSERT INTO effects VALUES (?1)")
        .bind(i64::try_from(key).unwrap())
        .execute(&mut *transaction)
        .await
        .unwrap();
    let ending = Ending::Complete {
        grant: grant(&request, &claimed),
        record: record(key),
        retention: RETENTION,
        writes: Writes::Keep,
    };
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
}

/// More than a page, so that there is something to tear.
fn record(key: u64) -> bytes::Bytes {
    key.to_string().repeat(1000).into()
}

struct Crashing {
    child: Child,
    lines: BufReader<ChildStdout>,
    done: BTreeSet<u64>,
}

impl Crashing {
    fn start(place: &Place, first: u64) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(FILE, place.url())
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            lines,
            done: BTreeSet::new(),
        }
    }

    /// Until it has finished so many keys.
    fn wait_for(&mut self, keys: usize) {
        while self.done.len() < keys {
            assert!(self.read(), "the child has ended by itself");
        }
    }

    fn read(&mut self) -> bool {
        let mut line = String::new();
        if self.lines.read_line(&mut line).unwrap() == 0 {
            return false;
        }
        // Without its end it was cut off with its writer.
        if let Some((_, key)) = line.split_once("done ")
            && let Some(key) = key.strip_suffix('\n')
        {
            self.done.insert(key.parse().unwrap());
        }
        true
    }

    /// With SIGKILL. What it has finished until then.
    fn kill(mut self) -> BTreeSet<u64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while self.read() {}
        self.done
    }
}

/// What is in the file after a crash.
struct Found {
    effects: Vec<u64>,
    recorded: BTreeSet<u64>,
    /// Keys of plain verbs whose owner is gone.
    in_flight: BTreeSet<u64>,
}

async fn look(store: &SqliteStore) -> Found {
    let check: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(store.writer())
        .await
        .unwrap();
    assert_eq!(check, "ok");
    let effects: Vec<i64> = sqlx::query_scalar("SELECT key FROM effects ORDER BY key")
        .fetch_all(store.readers())
        .await
        .unwrap();
    let mut found = Found {
        effects: effects
            .into_iter()
            .map(|key| u64::try_from(key).unwrap())
            .collect(),
        recorded: BTreeSet::new(),
        in_flight: BTreeSet::new(),
    };
    let mut query = idem_core::ListQuery {
        state: None,
        after: None,
        limit: 1000,
    };
    loop {
        let page = store.list(query.clone()).await.unwrap();
        for view in page.slots {
            let key = u64::from_be_bytes(view.slot.as_bytes()[..8].try_into().unwrap());
            match view.state {
                SlotState::Completed {
                    record: found_record,
                    ..
                } => {
                    assert_eq!(found_record, record(key), "the record of {key} is torn");
                    found.recorded.insert(key);
                }
                _ => {
                    found.in_flight.insert(key);
                }
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            return found;
        }
    }
}

fn check(found: &Found, done: &BTreeSet<u64>) {
    let transactional: Vec<u64> = found
        .recorded
        .iter()
        .copied()
        .filter(|key| is_transactional(*key))
        .collect();
    assert_eq!(
        found.effects, transactional,
        "effects and records, each exactly once"
    );
    let lost: Vec<_> = done.difference(&found.recorded).collect();
    assert!(lost.is_empty(), "answered and gone: {lost:?}");
    let open: Vec<_> = found
        .in_flight
        .iter()
        .filter(|key| is_transactional(**key))
        .collect();
    assert!(open.is_empty(), "claimed without its effect: {open:?}");
}

/// Kills `at_once` children at random moments, so many times.
async fn crash(rounds: usize, at_once: u64) {
    let seed: u64 = rand::random();
    println!("the seed of this run is {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let place = Place::new();
    let store = place.store().await;
    store
        .writer()
        .execute("CREATE TABLE effects (key INTEGER NOT NULL)")
        .await
        .unwrap();
    close(&store).await;
    drop(store);
    let mut done = BTreeSet::new();
    for round in 0..rounds {
        let mut children: Vec<Crashing> = (0..at_once)
            .map(|child| {
                let first = ((round as u64) * at_once + child) * 1_000_000;
                Crashing::start(&place, first)
            })
            .collect();
        // Also before it has opened the file, or while it does.
        if dice.random_range(0..10) > 0 {
            for child in &mut children {
                child.wait_for(dice.random_range(0..40));
            }
        }
        // Not only just after a key was finished.
        std::thread::sleep(Duration::from_micros(dice.random_range(0..8000)));
        for child in children {
            done.extend(child.kill());
        }
        let store = place.store().await;
        let found = look(&store).await;
        check(&found, &done);
        // It goes on: what was left in flight is still claimed, and the rest works.
        for key in found.in_flight {
            let claim = store.claim(request(key)).await.unwrap();
            assert!(matches!(claim, Claim::InFlight { .. }), "{claim:?}");
        }
        transact(&store, (1 << 62) + 2 * round as u64).await;
        if dice.random_bool(0.5) {
            // Else the next one finds the log of this one.
            close(&store).await;
        }
    }
    assert!(done.len() > rounds, "the children have done something");
}

async fn close(store: &SqliteStore) {
    store.readers().close().await;
    store.writer().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_has_answered_is_there_and_effects_and_records_agree() {
    crash(50, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_are_killed_at_once() {
    crash(20, 2).await;
}
