//! The canonical fingerprint against hashing the JSON text of the same value.

use std::hint::black_box;

use idem_axum::FingerprintBuilder;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    requests::order,
    turns::{Contestant, Effort, Shown, race},
};

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

pub(crate) fn measure(effort: Effort) -> Vec<Shown> {
    let text = ("x".repeat(1 << 20),);
    let (kilobyte, large) = (order(18), order(20_000));
    let mut shown = Vec::new();
    shown.extend(compare(
        ["fingerprint-small/json", "fingerprint-small/typed"],
        &small(),
        effort,
    ));
    let names = ["fingerprint-kilobyte/json", "fingerprint-kilobyte/typed"];
    shown.extend(compare(names, &kilobyte, effort));
    let names = ["fingerprint-large/json", "fingerprint-large/typed"];
    shown.extend(compare(names, &large, effort));
    let names = ["fingerprint-text/json", "fingerprint-text/typed"];
    shown.extend(compare(names, &text, effort));
    shown
}

fn compare(names: [&'static str; 2], value: &impl Serialize, effort: Effort) -> Vec<Shown> {
    let [by_json, by_type] = names;
    let contestants = vec![
        Contestant::new(by_json, || json(black_box(value))),
        Contestant::new(by_type, || typed(black_box(value))),
    ];
    race(contestants, effort)
}
