//! The canonical fingerprint against hashing the JSON text of the same value.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use idem_axum::FingerprintBuilder;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::requests::order;

#[derive(Serialize)]
struct Payment<'a> {
    amount: u64,
    currency: &'a str,
    customer: &'a str,
    capture: bool,
    reference: Option<&'a str>,
    order: u32,
}

pub(crate) fn typed(value: &impl Serialize) -> idem_axum::Fingerprint {
    let mut fingerprint = FingerprintBuilder::new();
    fingerprint.typed(value).unwrap();
    fingerprint.finish()
}

pub(crate) fn json(value: &impl Serialize) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(value).unwrap()).into()
}

pub(crate) fn small() -> impl Serialize {
    Payment {
        amount: 1250,
        currency: "EUR",
        customer: "c_8f14e45fceea167a",
        capture: true,
        reference: None,
        order: 17,
    }
}

pub(crate) fn measure(criterion: &mut Criterion) {
    compare(criterion, "small", &small());
    compare(criterion, "kilobyte", &order(18));
    compare(criterion, "large", &order(20_000));
    compare(criterion, "text", &("x".repeat(1 << 20),));
}

fn compare(criterion: &mut Criterion, name: &str, value: &impl Serialize) {
    let mut group = criterion.benchmark_group(format!("fingerprint-{name}"));
    let bytes = serde_json::to_vec(value).unwrap().len() as u64;
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("json", |b| b.iter(|| json(black_box(value))));
    group.bench_function("typed", |b| b.iter(|| typed(black_box(value))));
    group.finish();
}
