//! Executions and replays, plain and compressed by turns.

use std::time::Instant;

use bytes::Bytes;
use idem_axum::{
    Compression, FingerprintBuilder, IdempotencyKey, Operation, Overrides, PostgresStore, Runtime,
    Scope, Slot, Store,
};
use idem_core::{Call, Execution, Finish};

use super::answers::Kind;
use crate::fit::median;

/// What a fresh key and a replay take, in µs: plain and compressed.
pub(super) struct Times {
    fresh: [f64; 2],
    replay: [f64; 2],
}

impl Times {
    pub(super) fn cells(&self) -> String {
        let cell =
            |[plain, compressed]: [f64; 2]| format!("{plain:.1} µs, {:.2}", compressed / plain);
        format!("{} | {}", cell(self.fresh), cell(self.replay))
    }
}

/// Plain, and compressed whatever the length.
fn nodes(store: &(impl Store + Clone)) -> [Runtime; 2] {
    let builder = || Runtime::builder(store.clone());
    let compressing = builder().compress(Compression::from(0));
    [builder().build().unwrap(), compressing.build().unwrap()]
}

/// The medians of so many rounds, of `times` keys each.
pub(super) async fn turns(
    store: impl Store + Clone,
    (kind, bytes): (Kind, usize),
    times: usize,
    rounds: usize,
) -> Times {
    let nodes = nodes(&store);
    let mut took = [const { [const { Vec::new() }; 2] }; 2];
    // The first round warms up.
    for round in 0..=rounds {
        for (node, runtime) in nodes.iter().enumerate() {
            let record = kind.record(bytes);
            let calls: Vec<Call> = (0..times).map(|_| call(runtime)).collect();
            for (replays, took) in took.iter_mut().enumerate() {
                let started = Instant::now();
                for call in &calls {
                    let got = execute(runtime, call.clone(), &record).await;
                    assert_eq!((got.0, got.1.len()), (replays == 1, record.len()));
                }
                let each = started.elapsed().as_secs_f64() * 1e6 / times as f64;
                if round > 0 {
                    took[node].push(each);
                }
            }
        }
    }
    let [fresh, replay] = took.map(|nodes| nodes.map(|took| median(&took)));
    Times { fresh, replay }
}

/// How many bytes the database keeps of a record: plain and compressed.
pub(super) async fn at_rest(store: &PostgresStore, (kind, bytes): (Kind, usize)) -> [i32; 2] {
    let record = kind.record(bytes);
    let mut at_rest = [0; 2];
    for (runtime, at_rest) in nodes(store).iter().zip(&mut at_rest) {
        let call = call(runtime);
        let slot: Slot = call.slot;
        execute(runtime, call, &record).await;
        *at_rest =
            sqlx::query_scalar("SELECT pg_column_size(record) FROM idem.slots WHERE slot = $1")
                .bind(slot.as_bytes().as_slice())
                .fetch_one(store.pool())
                .await
                .unwrap();
    }
    at_rest
}

fn call(runtime: &Runtime) -> Call {
    let key = IdempotencyKey::new(format!("{:032x}", rand::random::<u128>())).unwrap();
    let mut fingerprint = FingerprintBuilder::new();
    fingerprint.text("5");
    let settings = runtime.settings_for(&Overrides::NONE).unwrap();
    let operation = Operation::new("list");
    runtime.call(
        operation,
        &Scope::GLOBAL,
        &key,
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
