//! Executions and their replays, of several runtimes by turns.

use std::time::Instant;

use bytes::Bytes;
use idem_axum::{
    FingerprintBuilder, IdempotencyKey, Operation, Overrides, PostgresStore, Runtime, Scope,
};
use idem_core::{Call, Execution, Finish};

use super::answers::Kind;
use crate::fit::median;

pub(super) struct Contestant {
    /// Executes fresh keys.
    pub(super) records: Runtime,
    /// Replays what the other has recorded.
    pub(super) replays: Runtime,
}

impl Contestant {
    pub(super) fn alone(runtime: Runtime) -> Self {
        let (records, replays) = (runtime.clone(), runtime);
        Self { records, replays }
    }
}

/// What a fresh key and a replay take, in µs.
pub(super) struct Times {
    pub(super) fresh: f64,
    pub(super) replay: f64,
}

/// The medians of so many rounds, of `times` keys each.
pub(super) async fn turns<const N: usize>(
    contestants: [Contestant; N],
    (kind, bytes): (Kind, usize),
    times: usize,
    rounds: usize,
) -> [Times; N] {
    let mut took = [const { [const { Vec::new() }; 2] }; N];
    // The first round warms up.
    for round in 0..=rounds {
        for (contestant, took) in contestants.iter().zip(&mut took) {
            let record = kind.record(bytes);
            let keys: Vec<IdempotencyKey> = (0..times).map(|_| key()).collect();
            let runtimes = [&contestant.records, &contestant.replays];
            for (replays, (runtime, took)) in runtimes.into_iter().zip(took).enumerate() {
                let calls: Vec<Call> = keys.iter().map(|key| call(runtime, key)).collect();
                let started = Instant::now();
                for call in calls {
                    let got = execute(runtime, call, &record).await;
                    assert_eq!((got.0, got.1.len()), (replays == 1, record.len()));
                }
                let each = started.elapsed().as_secs_f64() * 1e6 / times as f64;
                if round > 0 {
                    took.push(each);
                }
            }
        }
    }
    took.map(|[fresh, replay]| Times {
        fresh: median(&fresh),
        replay: median(&replay),
    })
}

/// How many bytes the database keeps of such a record.
pub(super) async fn at_rest(store: &PostgresStore, contestant: &Contestant, record: &Bytes) -> i32 {
    let call = call(&contestant.records, &key());
    let slot = call.slot;
    execute(&contestant.records, call, record).await;
    sqlx::query_scalar("SELECT pg_column_size(record) FROM idem.slots WHERE slot = $1")
        .bind(slot.as_bytes().as_slice())
        .fetch_one(store.pool())
        .await
        .unwrap()
}

fn key() -> IdempotencyKey {
    IdempotencyKey::new(format!("{:032x}", rand::random::<u128>())).unwrap()
}

fn call(runtime: &Runtime, key: &IdempotencyKey) -> Call {
    let mut fingerprint = FingerprintBuilder::new();
    fingerprint.text("5");
    let settings = runtime.settings_for(&Overrides::NONE).unwrap();
    let operation = Operation::new("list");
    runtime.call(
        operation,
        &Scope::GLOBAL,
        key,
        fingerprint.finish(),
        settings,
    )
}

/// Whether it was a replay, and the record. Whoever has run it has made the record.
async fn execute(runtime: &Runtime, call: Call, record: &Bytes) -> (bool, Bytes) {
    let record = record.clone();
    let work = async move {
        let record = Bytes::copy_from_slice(&record);
        let answer = record.clone();
        Finish::Record { answer, record }
    };
    match runtime.execute(call, work).await {
        Execution::Ran { answer, .. } => (false, answer),
        Execution::Replayed(replay) => (true, replay.record),
        other => panic!("{other:?}"),
    }
}
