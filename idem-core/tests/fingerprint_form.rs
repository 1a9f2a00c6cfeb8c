//! The canonical form, rule by rule.

use std::collections::{BTreeMap, BTreeSet};

use idem_core::fingerprint::{Fingerprint, FingerprintBuilder};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::json;

fn typed<T: Serialize + ?Sized>(value: &T) -> Fingerprint {
    let mut builder = FingerprintBuilder::new();
    assert!(builder.typed(value).is_ok());
    builder.finish()
}

struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn a_struct_and_a_map_with_the_same_entries_agree() {
    #[derive(Serialize)]
    struct Pair {
        b: u8,
        a: u8,
    }
    let map = BTreeMap::from([("a", 1), ("b", 2)]);
    assert_eq!(typed(&Pair { b: 2, a: 1 }), typed(&map));
}

#[test]
fn an_optional_field_that_is_added_does_not_matter_until_it_is_set() {
    #[derive(Serialize)]
    struct New {
        a: u8,
        added: Option<&'static str>,
    }
    let added = Some("x");
    assert_eq!(typed(&New { a: 1, added: None }), typed(&json!({"a": 1})));
    assert_ne!(typed(&New { a: 1, added }), typed(&json!({"a": 1})));
}

#[test]
fn a_field_that_is_skipped_is_a_field_that_is_not_there() {
    #[derive(Serialize)]
    struct Skips {
        a: u8,
        #[serde(skip_serializing_if = "str::is_empty")]
        b: &'static str,
    }
    assert_eq!(typed(&Skips { a: 1, b: "" }), typed(&json!({"a": 1})));
}

#[test]
fn wrappers_are_what_they_wrap() {
    #[derive(Serialize)]
    struct Newtype(u8);
    #[derive(Serialize)]
    struct Unit;
    assert_eq!(typed(&Some(Newtype(1))), typed(&1));
    assert_eq!(typed(&Unit), typed(&()));
    assert_eq!(typed(&None::<u8>), typed(&()));
}

#[test]
fn a_struct_without_names_is_its_fields_in_order() {
    #[derive(Serialize)]
    struct Amount(u8, &'static str);
    assert_eq!(typed(&Amount(5, "EUR")), typed(&json!([5, "EUR"])));
    assert_ne!(typed(&Amount(5, "EUR")), typed(&Amount(6, "EUR")));
    assert_ne!(typed(&(Amount(5, "EUR"), 1)), typed(&(5, "EUR", 1)));
}

#[test]
fn the_widest_integers_are_what_narrower_ones_are() {
    for value in [0_i8, 1, -1, i8::MIN, i8::MAX] {
        assert_eq!(typed(&i128::from(value)), typed(&value), "{value}");
    }
}

#[test]
fn an_element_without_a_value_still_is_an_element() {
    assert_ne!(typed(&[None, Some(1)]), typed(&[1]));
    assert_ne!(typed(&json!({"a": [null]})), typed(&json!({"a": []})));
}

#[test]
fn an_empty_value_is_not_a_missing_one() {
    assert_ne!(typed(&json!({"a": {}})), typed(&json!({})));
    assert_ne!(typed(&json!({"a": {"b": null}})), typed(&json!({})));
    assert_ne!(typed(&json!({"a": ""})), typed(&json!({})));
}

#[test]
fn structure_is_not_confused() {
    assert_ne!(typed(&["ab", "c"]), typed(&["a", "bc"]));
    assert_ne!(typed(&json!([[1], [2]])), typed(&json!([[1, 2]])));
    assert_ne!(
        typed(&json!({"a": {"b": 1}})),
        typed(&json!({"a": {}, "b": 1}))
    );
    assert_ne!(typed(&json!({"a": "b"})), typed(&json!(["a", "b"])));
    assert_ne!(typed(&[1, 2]), typed(&[2, 1]));
}

#[test]
fn types_are_not_confused() {
    assert_ne!(typed("1"), typed(&1));
    assert_ne!(typed(&1), typed(&1.0));
    assert_ne!(typed(&1), typed(&true));
    assert_ne!(typed("abc"), typed(&Bytes(b"abc")));
    assert_ne!(typed(&[97, 98]), typed(&Bytes(b"ab")));
    assert_ne!(typed("\0"), typed(&()));
    assert_eq!(typed("a"), typed(&'a'));
}

#[test]
fn zero_has_no_sign_and_infinity_has() {
    assert_eq!(typed(&-0.0), typed(&0.0));
    assert_ne!(typed(&f64::INFINITY), typed(&f64::NEG_INFINITY));
    assert_ne!(typed(&f64::INFINITY), typed(&f64::NAN));
    assert_ne!(typed(&1.5), typed(&-1.5));
    assert_ne!(typed(&1), typed(&-1));
}

#[test]
fn variants_are_not_confused() {
    #[derive(Serialize)]
    enum Choice {
        A(Option<u8>),
        B(Option<u8>),
        C,
    }
    assert_ne!(typed(&Choice::A(None)), typed(&Choice::B(None)));
    assert_ne!(typed(&Choice::A(Some(1))), typed(&Choice::B(Some(1))));
    assert_ne!(typed(&Choice::A(Some(1))), typed(&Choice::A(None)));
    assert_ne!(
        typed(&json!({"choice": null})),
        typed(&BTreeMap::from([("choice", Choice::A(None))]))
    );
    assert_eq!(typed(&Choice::C), typed("C"));
}

/// Entries in the order they are in here.
struct Written<'a>(&'a [(&'a str, u8)]);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[test]
fn entries_with_equal_keys_keep_their_order() {
    let written = typed(&Written(&[("b", 0), ("a", 1), ("a", 2)]));
    assert_eq!(written, typed(&Written(&[("a", 1), ("a", 2), ("b", 0)])));
    assert_ne!(written, typed(&Written(&[("a", 2), ("a", 1), ("b", 0)])));
}

#[test]
fn keys_that_begin_alike_are_told_apart_and_ordered() {
    let (one, other) = ("a_rather_long_name_1", "a_rather_long_name_2");
    let written = typed(&Written(&[(one, 1), (other, 2)]));
    assert_eq!(written, typed(&Written(&[(other, 2), (one, 1)])));
    assert_ne!(written, typed(&Written(&[(one, 2), (other, 1)])));
}

#[test]
fn what_displays_itself_is_the_text_it_displays() {
    struct Displayed(String);
    impl Serialize for Displayed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(serializer.is_human_readable());
            serializer.collect_str(&format_args!("<{}>", self.0))
        }
    }
    for len in [
        0, 10, 122, 124, 126, 128, 250, 254, 4084, 4086, 4088, 4090, 9000,
    ] {
        let content = "é".repeat(len / 2);
        let text = format!("<{content}>");
        let displayed = Displayed(content);
        assert_eq!(typed(&displayed), typed(&text));
        // Inside of an entry its length matters, with and without something after it.
        let in_entries = typed(&(
            BTreeMap::from([("k", &displayed)]),
            BTreeMap::from([("k", [&displayed])]),
        ));
        let texts = typed(&json!([{"k": text}, {"k": [text]}]));
        assert_eq!(in_entries, texts);
    }
}

#[test]
fn parts_of_different_kinds_differ() {
    let mut parts = [(); 6].map(|()| FingerprintBuilder::request("POST", "/", None));
    parts[1].nothing();
    parts[2].raw(b"");
    parts[3].text("");
    assert!(parts[4].typed("").is_ok());
    assert!(parts[5].typed(&()).is_ok());
    let others = [
        FingerprintBuilder::request("POST", "/", Some("")),
        FingerprintBuilder::request("PUT", "/", None),
        FingerprintBuilder::new(),
    ];
    let all: Vec<_> = parts.into_iter().chain(others).collect();
    let count = all.len();
    let distinct: BTreeSet<_> = all.into_iter().map(FingerprintBuilder::finish).collect();
    assert_eq!(distinct.len(), count);
}

#[test]
fn a_builder_shows_nothing_of_its_payload() {
    let mut builder = FingerprintBuilder::default();
    builder.text("4111 1111 1111 1111");
    assert_eq!(format!("{builder:?}"), "FingerprintBuilder { .. }");
}
