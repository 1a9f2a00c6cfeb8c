//! What a thread has learnt of structs changes nothing: each is what a map with the same entries
//! is, whatever came before it.

#![allow(clippy::panic, reason = "a test")]

#[path = "../src/properties/reference.rs"]
mod slow;

use std::collections::BTreeMap;

use idem_core::fingerprint::{Fingerprint, FingerprintBuilder};
use proptest::prelude::*;
use serde::ser::{SerializeMap, SerializeStruct, SerializeStructVariant};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

fn typed<T: Serialize + ?Sized>(value: &T) -> Fingerprint {
    let mut builder = FingerprintBuilder::new();
    assert!(builder.typed(value).is_ok());
    builder.finish()
}

fn reference(value: &Value) -> Fingerprint {
    Fingerprint::from_bytes(slow::fingerprint(value))
}

fn json_of<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("{error}"))
}

/// Twice, for the second time all is known.
fn agrees<T: Serialize + ?Sized>(value: &T) {
    let json = json_of(value);
    for _ in 0..2 {
        assert_eq!(typed(value), reference(&json), "{json}");
        assert_eq!(typed(&json), reference(&json), "{json}");
    }
}

/// A struct whose names, fields and their order are known at run time only. The names live as
/// long as the process does.
#[derive(Debug, Clone)]
struct Fields(&'static str, Vec<(&'static str, Value)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct(self.0, self.1.len())?;
        for (name, value) in &self.1 {
            fields.serialize_field(name, value)?;
        }
        fields.end()
    }
}

/// The same entries as a map.
struct Entries<'a>(&'a Fields);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = &self.0.1;
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (name, value) in entries {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn leaked(name: &str) -> &'static str {
    String::leak(name.to_owned())
}

#[test]
fn structs_of_one_name_with_other_fields_are_not_confused() {
    mod one {
        #[derive(serde::Serialize)]
        pub(super) struct Same {
            pub(super) b: u8,
            pub(super) a: u8,
            pub(super) name_that_is_long_enough: u8,
        }
    }
    mod other {
        #[derive(serde::Serialize)]
        pub(super) struct Same {
            pub(super) a: u8,
            pub(super) b: u8,
            pub(super) name_that_is_long_enough: u8,
            pub(super) c: u8,
        }
    }
    let name_that_is_long_enough = 3;
    let one = one::Same {
        b: 1,
        a: 2,
        name_that_is_long_enough,
    };
    let other = other::Same {
        a: 2,
        b: 1,
        name_that_is_long_enough,
        c: 4,
    };
    agrees(&one);
    agrees(&other);
    agrees(&(&one, &other, &one, &other, &other));
}

#[test]
fn the_order_of_fields_does_not_matter() {
    let fields = ["d", "a", "longer", "c", "bb"];
    let expected = json!({"d": 0, "a": 1, "longer": 2, "c": 3, "bb": 4});
    let value = |rotation: usize| {
        let mut fields: Vec<_> = fields
            .iter()
            .zip(0..)
            .map(|(n, v)| (*n, v.into()))
            .collect();
        fields.rotate_left(rotation);
        Fields("Same", fields)
    };
    for rotation in [0, 1, 2, 3, 4, 0, 4, 3] {
        assert_eq!(typed(&value(rotation)), reference(&expected), "{rotation}");
    }
    let all: Vec<_> = (0..5).map(value).collect();
    let expected = Value::from(vec![expected; 5]);
    assert_eq!(typed(&all), reference(&expected));
}

#[test]
fn every_choice_of_absent_fields_is_what_its_map_is() {
    #[derive(Serialize, Clone, Copy)]
    struct Options {
        f: Option<u8>,
        e: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        d: Option<&'static str>,
        c: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        b_which_is_rather_long: Option<bool>,
        a: Option<()>,
    }
    let options = |mask: u32| {
        let is = |bit: u32| mask >> bit & 1 == 1;
        Options {
            f: is(0).then_some(1),
            e: is(1).then_some(2),
            d: is(2).then_some("3"),
            c: 4,
            b_which_is_rather_long: is(3).then_some(true),
            a: is(4).then_some(()),
        }
    };
    for mask in (0..32).chain((0..32).rev()) {
        agrees(&options(mask));
        agrees(&[
            options(mask),
            options(mask),
            options(31 - mask),
            options(mask),
        ]);
    }
}

#[test]
fn generic_structs_of_one_name_are_not_confused() {
    #[derive(Serialize)]
    struct Page<T> {
        items: Vec<T>,
        #[serde(flatten)]
        rest: T,
        total: u8,
        first: T,
    }
    #[derive(Serialize, Clone)]
    struct One {
        b: u8,
        a: u8,
    }
    #[derive(Serialize, Clone)]
    struct Other {
        a: u8,
        c: Option<u8>,
        b: u8,
    }
    fn page<T: Clone>(item: T) -> Page<T> {
        Page {
            items: vec![item.clone(), item.clone()],
            rest: item.clone(),
            total: 2,
            first: item,
        }
    }
    agrees(&page(One { b: 1, a: 2 }));
    agrees(&page(Other {
        a: 2,
        c: None,
        b: 1,
    }));
    agrees(&page(Other {
        a: 2,
        c: Some(3),
        b: 1,
    }));
    agrees(&page(BTreeMap::from([("a", 2), ("b", 1)])));
}

#[test]
fn a_struct_may_have_many_fields() {
    let names: Vec<_> = (0..100)
        .map(|n| leaked(&format!("field_{}", n * 7 % 100)))
        .collect();
    for count in [63, 64, 65, 100, 99] {
        let fields = names[..count].iter().zip(0..);
        let fields = fields.map(|(name, value)| match value % 3 {
            0 => (*name, json!("x".repeat(value))),
            1 => (*name, json!({"b": value, "a": [value]})),
            _ => (*name, json!(value)),
        });
        let fields = Fields("Many", fields.collect());
        agrees(&fields);
        agrees(&[&fields, &fields]);
    }
}

#[test]
fn a_struct_may_contain_itself() {
    #[derive(Serialize, Clone)]
    struct Tree {
        right: Option<Box<Self>>,
        value: u16,
        children: Vec<Self>,
        left: Option<Box<Self>>,
    }
    fn tree(depth: u16) -> Tree {
        let inner = (depth > 0).then(|| Box::new(tree(depth - 1)));
        Tree {
            right: inner.clone().filter(|_| depth.is_multiple_of(2)),
            value: 1000 * depth,
            children: inner.iter().map(|inner| Tree::clone(inner)).collect(),
            left: inner,
        }
    }
    for depth in 0..7 {
        agrees(&tree(depth));
    }
}

#[test]
fn a_struct_may_take_fingerprints_of_its_own_kind() {
    struct Sealed(Vec<Point>);
    #[derive(Serialize, Clone)]
    struct Point {
        y: u8,
        x: Option<u8>,
    }
    impl Serialize for Sealed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut fields = serializer.serialize_struct("Sealed", 3)?;
            fields.serialize_field("points", &self.0)?;
            fields.serialize_field("digest", typed(&self.0).as_bytes())?;
            fields.serialize_field("again", &self.0)?;
            fields.end()
        }
    }
    let points = vec![Point { y: 1, x: None }, Point { y: 2, x: Some(3) }];
    agrees(&Sealed(points.clone()));
    agrees(&[Sealed(points.clone()), Sealed(points)]);
}

/// More structs than a thread remembers, within one value and from one to the next.
#[test]
fn structs_that_there_is_no_memory_for_are_what_their_maps_are() {
    let kinds: Vec<_> = (0..700)
        .map(|n| {
            let fields = [("b", 1), ("a", 2), ("c", 3)];
            let fields = fields.map(|(name, value)| (leaked(&format!("{name}_{n}")), json!(value)));
            Fields(leaked(&format!("Kind{n}")), fields.to_vec())
        })
        .collect();
    let name = leaked("a_field_that_all_of_them_have");
    let outer = Fields(
        "Outer",
        vec![(name, json!({"z": 1, "a": 2})), (leaked("id"), json!(7))],
    );
    let values: Vec<_> = kinds.iter().flat_map(|kind| [kind, kind, &outer]).collect();
    agrees(&values);
    agrees(&values);
    kinds.iter().for_each(agrees);

    // It runs out in the middle of a struct, and in a struct around others.
    let names = (0..3000).map(|n| leaked(&format!("n{}", n * 7 % 3000)));
    let fields = Fields(
        "Huge",
        names
            .map(|name| (name, json!({"b": 1, "a": name})))
            .collect(),
    );
    agrees(&(&outer, &fields, &outer, &kinds[0]));
    agrees(&outer);
    let around = Around {
        z: &values,
        a: &outer,
        m: &fields,
    };
    #[derive(Serialize)]
    struct Around<'a> {
        z: &'a [&'a Fields],
        a: &'a Fields,
        m: &'a Fields,
    }
    agrees(&around);
    agrees(&around);
}

#[test]
fn a_name_may_stand_at_several_addresses() {
    let fields = |_| {
        Fields(
            leaked("Same"),
            vec![(leaked("b"), json!(1)), (leaked("a"), json!(2))],
        )
    };
    let all: Vec<_> = (0..200).map(fields).collect();
    agrees(&all);
}

#[test]
fn names_at_one_address_may_have_other_lengths() {
    let text = leaked("abcdefghij");
    for (one, other) in [(1, 2), (2, 1), (10, 1), (1, 10), (3, 10)] {
        let fields = Fields(
            text,
            vec![(&text[..one], json!(1)), (&text[..other], json!(2))],
        );
        agrees(&fields);
    }
    agrees(&Fields("", vec![("", json!(1))]));
    agrees(&[
        Fields("", vec![]),
        Fields("", vec![("", json!(1))]),
        Fields("", vec![]),
    ]);
}

#[test]
fn equal_fields_keep_their_order() {
    let fields = |first: u8, second: u8| {
        let fields = [("b", json!(0)), ("a", json!(first)), ("a", json!(second))];
        Fields("Twice", fields.to_vec())
    };
    assert_eq!(typed(&fields(1, 2)), typed(&Entries(&fields(1, 2))));
    assert_ne!(typed(&fields(1, 2)), typed(&fields(2, 1)));
}

#[test]
fn long_names_are_what_long_keys_are() {
    for len in [127, 128, 4092, 4093, 9000] {
        let name = leaked(&"n".repeat(len));
        let fields = [
            (name, json!(1)),
            ("a", json!("x".repeat(len))),
            ("b", json!(2)),
        ];
        agrees(&Fields("Long", fields.to_vec()));
    }
}

/// Structs, maps and variants with the same keys are neighbours like any others.
#[test]
fn neighbours_of_all_kinds_agree() {
    #[derive(Clone, Copy)]
    enum Kind {
        Struct,
        Map,
        Variant,
    }
    struct As<'a>(Kind, &'a Fields);
    impl Serialize for As<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Self(kind, fields) = self;
            match kind {
                Kind::Struct => fields.serialize(serializer),
                Kind::Map => Entries(fields).serialize(serializer),
                Kind::Variant => {
                    let mut variant = serializer.serialize_struct_variant("Kind", 0, "V", 2)?;
                    for (name, value) in &fields.1 {
                        variant.serialize_field(name, value)?;
                    }
                    variant.end()
                }
            }
        }
    }
    let fields = |names: [&'static str; 2]| Fields("F", names.map(|name| (name, json!(1))).into());
    let one = fields(["b_rather_long_name", "a_rather_long_name"]);
    let swapped = fields(["a_rather_long_name", "b_rather_long_name"]);
    let other = fields(["b_rather_long_name", "another_long_name"]);
    for kind in [Kind::Struct, Kind::Map] {
        let value = [
            As(kind, &one),
            As(Kind::Struct, &swapped),
            As(Kind::Map, &one),
            As(kind, &other),
            As(kind, &one),
        ];
        let [one, other] = [&one, &other].map(json_of);
        let expected = json!([one, one, one, other, one]);
        assert_eq!(typed(&value), reference(&expected));
    }
    let between = |kind| {
        typed(&[
            As(Kind::Variant, &one),
            As(kind, &one),
            As(Kind::Variant, &one),
            As(kind, &other),
        ])
    };
    assert_eq!(between(Kind::Struct), between(Kind::Map));
    assert_ne!(between(Kind::Struct), between(Kind::Variant));
}

#[test]
fn keys_that_are_left_out_are_those_of_the_same_sequence() {
    let one = json!({"a": 1});
    let other = json!({"b": 1});
    let values = [
        json!([one, one]),
        json!([one, other]),
        json!([one, [one]]),
        json!([[one], one]),
        json!([[one], [one]]),
        json!([one, {"a": one}]),
        json!([one, {"a": [one, other]}, one]),
        json!([other, {"a": [one, other]}, other]),
        json!([one, {"b": [one, other]}, one]),
        json!([one, null, one, 1, one]),
        json!([one, [other], one, [one, other], one]),
        json!([{}, {}, one, {}]),
        json!({"a": [one, one], "b": [one, one]}),
        json!({"a": one, "b": one}),
    ];
    for (index, value) in values.iter().enumerate() {
        assert_eq!(typed(value), reference(value), "{value}");
        for other in &values[..index] {
            assert_ne!(typed(value), typed(other), "{value} and {other}");
        }
    }
}

#[test]
fn threads_agree() {
    let value = || {
        let fields = ["d", "a", "longer", "c", "bb"].map(|name| (name, json!({"z": name})));
        Fields("Same", fields.to_vec())
    };
    let expected = typed(&value());
    let threads = [(); 8].map(|()| std::thread::spawn(move || [(); 100].map(|()| typed(&value()))));
    for thread in threads {
        assert_eq!(thread.join().unwrap(), [expected; 100]);
    }
}

proptest! {
    /// Names from so few that structs share their beginnings, in any order, some of them absent.
    #[test]
    fn any_structs_are_what_their_maps_are(
        structs in prop::collection::vec(
            (
                prop::sample::select(vec!["One", "Other"]),
                prop::sample::subsequence(vec!["a", "b", "cc", "ddd", "a_long_one_to_be_hashed"], 0..=5)
                    .prop_shuffle(),
                prop::collection::vec(
                    prop::sample::select(vec![
                        json!(null),
                        json!(1),
                        json!(100_000),
                        json!("text"),
                        json!("a text of more than sixteen bytes"),
                        json!("x".repeat(100)),
                        json!("x".repeat(5000)),
                        json!([{"b": 1, "a": 2}, {"a": 2, "b": 1}]),
                    ]),
                    5,
                ),
            ),
            1..8,
        ),
    ) {
        let structs = structs.into_iter();
        let structs: Vec<_> = structs
            .map(|(name, names, values)| Fields(name, names.into_iter().zip(values).collect()))
            .collect();
        agrees(&structs);
        structs.iter().for_each(agrees);
    }
}
