//! What the canonical form erases, and that it erases nothing else.

#[path = "../src/properties/reference.rs"]
mod slow;

use std::collections::HashMap;

use idem_core::fingerprint::{Fingerprint, FingerprintBuilder};
use proptest::prelude::*;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

fn typed<T: Serialize + ?Sized>(value: &T) -> Fingerprint {
    let mut builder = FingerprintBuilder::new();
    assert!(builder.typed(value).is_ok());
    builder.finish()
}

fn reference(value: &Value) -> Fingerprint {
    Fingerprint::from_bytes(slow::fingerprint(value))
}

/// A value that writes its map entries in the order they are in here.
#[derive(Debug, Clone)]
enum Ordered {
    Leaf(Value),
    Seq(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Ordered {
    /// The same value, its entries in an order that depends on the seed.
    fn shuffled(value: &Value, seed: u64) -> Self {
        match value {
            Value::Array(elements) => Self::Seq(
                elements
                    .iter()
                    .map(|element| Self::shuffled(element, seed))
                    .collect(),
            ),
            Value::Object(entries) => {
                let mut entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::shuffled(value, seed)))
                    .collect();
                entries.sort_by_cached_key(|(key, _)| Sha256::digest(format!("{seed}{key}")));
                Self::Map(entries)
            }
            leaf => Self::Leaf(leaf.clone()),
        }
    }

    /// JSON with white space wherever it may be.
    fn spacious(&self) -> String {
        match self {
            Self::Leaf(leaf) => format!("\t{leaf}\n"),
            Self::Seq(elements) => {
                let elements: Vec<_> = elements.iter().map(Self::spacious).collect();
                format!(" [\r\n{} ] ", elements.join(" ,"))
            }
            Self::Map(entries) => {
                let entries = entries.iter();
                let entries: Vec<_> = entries
                    .map(|(key, value)| format!(" {}\n: {}", json!(key), value.spacious()))
                    .collect();
                format!(" {{\t{}\n}} ", entries.join(" , "))
            }
        }
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(leaf) => leaf.serialize(serializer),
            Self::Seq(elements) => elements.serialize(serializer),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Any JSON, with texts on both sides of what is replaced by a digest.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        8 => ".{0,12}",
        1 => (120_usize..136).prop_map(|n| "s".repeat(n)),
        1 => (4070_usize..4110).prop_map(|n| "x".repeat(n)),
        1 => (1_usize..20_000).prop_map(|n| "y".repeat(n)),
    ];
    let key = prop_oneof![
        20 => "[a-z]{0,20}",
        20 => "[a-c]",
        5 => "a_rather_long_name_[a-z]",
        1 => (4080_usize..4100).prop_map(|n| "k".repeat(n)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-300_i64..300).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON of so few symbols that two values are often almost, and sometimes quite, the same.
fn tiny_json() -> impl Strategy<Value = Value> {
    let leaves = [
        json!(null),
        json!(false),
        json!(0),
        json!(0.0),
        json!(-0.0),
        json!(""),
    ];
    let leaf = prop::sample::select(leaves.to_vec());
    leaf.prop_recursive(3, 6, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(without_nulls).collect(),
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                entries
                    .map(|(key, value)| (key.clone(), without_nulls(value)))
                    .collect(),
            )
        }
        leaf => leaf.clone(),
    }
}

/// The same value with a null more in every object.
fn with_more_nulls(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(with_more_nulls).collect(),
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.clone(), with_more_nulls(value)));
            let mut entries: Map<_, _> = entries.collect();
            entries.insert("NEW".into(), Value::Null);
            Value::Object(entries)
        }
        leaf => leaf.clone(),
    }
}

/// Whatever the last thing is that fits, or does not fit any more.
#[test]
fn values_around_the_limit_have_the_fingerprint_of_the_reference() {
    let ends = [
        json!([]),
        json!([1]),
        json!([1_000_000, -1]),
        json!([u64::MAX]),
        json!([0.5]),
        json!([null, true]),
        json!(["", "abc"]),
        json!({}),
        json!({"b": 1, "a": {"d": 2, "c": [3]}}),
        json!([{"a": null}, {"a": {"a": 0}}]),
    ];
    for fill in 4000..4100 {
        for end in &ends {
            let fill = "x".repeat(fill);
            let value = json!({"k": [fill, end], "a": {"k": {"k": end, "a": fill}}});
            assert_eq!(typed(&value), reference(&value), "{} and {end}", fill.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_json_has_the_fingerprint_of_the_reference(value in any_json()) {
        prop_assert_eq!(typed(&value), reference(&value));
    }

    #[test]
    fn the_order_of_entries_does_not_matter(value in any_json(), seed: u64) {
        prop_assert_eq!(typed(&Ordered::shuffled(&value, seed)), typed(&value));
    }

    #[test]
    fn the_writing_of_the_json_does_not_matter(value in any_json(), seeds: [u64; 2]) {
        let [one, other] = seeds.map(|seed| Ordered::shuffled(&value, seed).spacious());
        let one: Value = serde_json::from_str(&one)?;
        let other: Value = serde_json::from_str(&other)?;
        prop_assert_eq!(typed(&one), typed(&other));
    }

    #[test]
    fn entries_without_a_value_do_not_matter(value in any_json()) {
        prop_assert_eq!(typed(&with_more_nulls(&value)), typed(&value));
        prop_assert_eq!(typed(&without_nulls(&value)), typed(&value));
    }

    #[test]
    fn fingerprints_are_equal_only_where_values_are(one in tiny_json(), other in tiny_json()) {
        let same = without_nulls(&one) == without_nulls(&other);
        prop_assert_eq!(typed(&one) == typed(&other), same, "{} and {}", one, other);
    }

    #[test]
    fn the_width_and_signedness_of_an_integer_do_not_matter(value: i8) {
        let wide = i128::from(value);
        prop_assert_eq!(typed(&value), typed(&wide));
        prop_assert_eq!(typed(&i16::from(value)), typed(&i32::from(value)));
        prop_assert_eq!(typed(&i64::from(value)), typed(&wide));
        if let Ok(unsigned) = u8::try_from(value) {
            prop_assert_eq!(typed(&unsigned), typed(&wide));
            prop_assert_eq!(typed(&u16::from(unsigned)), typed(&u32::from(unsigned)));
            prop_assert_eq!(typed(&u64::from(unsigned)), typed(&u128::from(unsigned)));
        }
    }

    #[test]
    fn different_integers_differ(one: i128, other: i128) {
        prop_assert_eq!(typed(&one) == typed(&other), one == other);
        prop_assert_ne!(typed(&one), typed(&one.wrapping_neg().wrapping_sub(1)));
    }

    #[test]
    fn a_float_does_not_change_when_its_field_gets_wider(value: f32) {
        prop_assert_eq!(typed(&value), typed(&f64::from(value)));
    }

    #[test]
    fn every_nan_is_the_same(payload in 1_u64..(1 << 52), negative: bool) {
        let nan = f64::from_bits(u64::from(negative) << 63 | 0x7ff << 52 | payload);
        prop_assert!(nan.is_nan());
        prop_assert_eq!(typed(&nan), typed(&f64::NAN));
    }

    #[test]
    fn the_order_of_a_hash_map_does_not_matter(
        entries in prop::collection::hash_map(".{0,8}", 0_u8..9, 0..40),
    ) {
        // Every map has its own random order.
        let copy: HashMap<_, _> = entries.clone().into_iter().collect();
        prop_assert_eq!(typed(&entries), typed(&copy));
    }

    #[test]
    fn a_text_cut_elsewhere_is_another_pair(
        text in "[a-z]{2,20}",
        cuts: [prop::sample::Index; 2],
    ) {
        let [one, other] = cuts.map(|cut| text.split_at(cut.index(text.len())));
        prop_assert_eq!(typed(&one) == typed(&other), one == other);
        let raw = |(a, b): (&str, &str)| {
            let mut builder = FingerprintBuilder::new();
            builder.raw(a.as_bytes()).raw(b.as_bytes());
            builder.finish()
        };
        prop_assert_eq!(raw(one) == raw(other), one == other);
        let request = |(a, b)| FingerprintBuilder::request(a, b, None).finish();
        prop_assert_eq!(request(one) == request(other), one == other);
    }
}
