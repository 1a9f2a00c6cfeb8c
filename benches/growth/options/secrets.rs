//! What a secret takes, and a second one that is accepted beside it, so that each claim has
//! two names.

use idem_axum::{Runtime, Store};
use idem_core::RuntimeBuilder;
use tokio::runtime::Builder;

use super::{
    answers::Kind,
    stores::{Stores, memory},
    through::{Contestant, Times, turns},
};
use crate::effort::Effort;

const BYTES: usize = 1024;
const TIMES: usize = 100;

pub(crate) fn compare(effort: Effort) {
    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let stores = Stores::start().await;
        println!(
            "\n| a record of {BYTES} B | without a secret, fresh key | one secret ÷ without | two ÷ without \
             | without, replay | one secret ÷ without | two, by its first name | two, by its other name |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        print("memory", &memory(), 10 * TIMES, effort).await;
        print("Redis", &stores.redis, TIMES, effort).await;
        print("PostgreSQL", &stores.postgres, TIMES, effort).await;
    });
}

async fn print(name: &str, store: &(impl Store + Clone), times: usize, effort: Effort) {
    let node = |secrets: fn(RuntimeBuilder) -> RuntimeBuilder| {
        secrets(Runtime::builder(store.clone())).build().unwrap()
    };
    let two = || node(|builder| builder.secret("new").accept_secret("old"));
    let contestants = [
        Contestant::alone(node(|builder| builder)),
        Contestant::alone(node(|builder| builder.secret("new"))),
        Contestant::alone(two()),
        Contestant {
            records: node(|builder| builder.secret("old")),
            replays: two(),
        },
    ];
    let took = turns(
        contestants,
        (Kind::Json, BYTES),
        times,
        effort.record_rounds,
    )
    .await;
    let [without, one, two, renamed] = took;
    let fresh = |other: &Times| other.fresh / without.fresh;
    let replay = |other: &Times| other.replay / without.replay;
    println!(
        "| {name} | {:.1} µs | {:.2} | {:.2} | {:.1} µs | {:.2} | {:.2} | {:.2} |",
        without.fresh,
        fresh(&one),
        fresh(&two),
        without.replay,
        replay(&one),
        replay(&two),
        replay(&renamed),
    );
}
