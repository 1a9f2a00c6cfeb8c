//! Values that are too deep, too large, or break serde's rules.

use std::collections::BTreeMap;

use idem_core::fingerprint::{Fingerprint, FingerprintBuilder, FingerprintError};
use serde::ser::{Error, SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

fn typed<T: Serialize + ?Sized>(value: &T) -> Result<Fingerprint, FingerprintError> {
    let mut builder = FingerprintBuilder::new();
    builder.typed(value)?;
    Ok(builder.finish())
}

/// A value that goes on for ever, in one way or another.
#[derive(Clone, Copy, Debug)]
enum Endless {
    Seq,
    Value,
    Key,
    Field,
    Variant,
    Some,
    Newtype,
}

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seq => {
                let mut seq = serializer.serialize_seq(None)?;
                seq.serialize_element(self)?;
                seq.end()
            }
            Self::Value => serializer.collect_map([(1, self)]),
            Self::Key => serializer.collect_map([(self, 1)]),
            Self::Field => {
                let mut fields = serializer.serialize_struct("Endless", 1)?;
                fields.serialize_field("field", self)?;
                fields.end()
            }
            Self::Variant => serializer.serialize_newtype_variant("Endless", 0, "Variant", self),
            Self::Some => serializer.serialize_some(self),
            Self::Newtype => serializer.serialize_newtype_struct("Endless", self),
        }
    }
}

#[test]
fn a_value_without_end_is_refused_before_the_stack_overflows() {
    use Endless::{Field, Key, Newtype, Seq, Some, Value, Variant};
    for endless in [Seq, Value, Key, Field, Variant, Some, Newtype] {
        let refused = typed(&endless);
        assert!(
            matches!(refused, Err(FingerprintError::TooDeep { .. })),
            "{endless:?}: {refused:?}"
        );
    }
}

#[test]
fn a_hundred_and_twenty_eight_levels_are_allowed() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let too_deep = FingerprintError::TooDeep { limit: 128 };
    assert!(typed(&nested(128)).is_ok());
    assert_eq!(typed(&nested(129)), Err(too_deep));
}

#[test]
fn whatever_serde_json_reads_is_not_too_deep() {
    let text = format!(
        "{}{}",
        "{\"a\":".repeat(126) + "[",
        "]".to_owned() + &"}".repeat(126)
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(typed(&value).is_ok());
}

#[test]
fn siblings_do_not_add_up_to_depth() {
    assert!(typed(&vec![json!([{"a": [1]}]); 1000]).is_ok());
    assert!(typed(&vec![Some(Some(1)); 1000]).is_ok());
    assert!(typed(&vec![Ok::<u8, u8>(1); 1000]).is_ok());
}

#[test]
fn an_error_leaves_the_builder_as_it_was() {
    let mut builder = FingerprintBuilder::new();
    builder.text("a");
    assert!(builder.typed(&("x".repeat(9000), Endless::Value)).is_err());
    builder.text("b");

    let mut untroubled = FingerprintBuilder::new();
    untroubled.text("a").text("b");
    assert_eq!(builder.finish(), untroubled.finish());
}

#[test]
fn an_error_leaves_nothing_for_the_next_value() {
    let value = json!({"b": 1, "a": {"d": [2], "c": "x".repeat(5000)}});
    let before = typed(&value).unwrap();
    for endless in [Endless::Value, Endless::Key, Endless::Seq] {
        assert!(typed(&endless).is_err());
        assert_eq!(typed(&value).unwrap(), before);
    }
}

/// A text whose encoding has this many bytes, of which a tag and a length take a few.
fn encoded(bytes: usize) -> String {
    let prefix = match bytes {
        ..=128 => 1,
        129..=258 => 3,
        _ => 4,
    };
    "x".repeat(bytes - prefix)
}

#[test]
fn values_around_the_size_that_is_replaced_by_a_digest_differ() {
    let [below, at, above] = [4095, 4096, 4097].map(|n| typed(&json!({"k": encoded(n)})).unwrap());
    assert_ne!(below, at);
    assert_ne!(at, above);
    assert_ne!(below, above);
}

/// The same sequence written in smaller and larger pieces.
#[test]
fn only_the_size_decides_whether_a_digest_replaces_a_value() {
    #[derive(Serialize)]
    struct Field<T> {
        k: T,
        a: u8,
    }
    for size in [4000, 4094, 4095, 4096, 4097, 4098, 8192, 8193, 20_000] {
        // A sequence adds two bytes of its own.
        let text = encoded(size - 2);
        let display = format_args!("{text}");
        let as_text = typed(&Field { k: [&text], a: 1 }).unwrap();
        let as_display = typed(&Field { k: [display], a: 1 }).unwrap();
        let as_value = typed(&json!({"a": 1, "k": [text]})).unwrap();
        assert_eq!(as_text, as_display, "{size}");
        assert_eq!(as_text, as_value, "{size}");
    }
}

/// Inner maps arrive at the enclosing entry all at once, sorted or not.
#[test]
fn maps_that_are_replaced_by_a_digest_do_not_depend_on_their_order() {
    #[derive(Clone)]
    struct Backwards<'a>(&'a BTreeMap<String, String>);
    impl Serialize for Backwards<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().rev())
        }
    }
    for size in (3950..4200).chain([9000]) {
        let texts = [("a", 100), ("bb", 1500), ("c", 100), ("d", size - 1700)];
        let map = texts.map(|(key, n)| (key.to_owned(), encoded(n)));
        let map = BTreeMap::from(map);
        for wrap in [1, 2] {
            let forwards = vec![&map; wrap];
            let backwards = vec![Backwards(&map); wrap];
            let forwards = typed(&BTreeMap::from([("k", forwards)])).unwrap();
            let backwards = typed(&BTreeMap::from([("k", backwards)])).unwrap();
            assert_eq!(forwards, backwards, "{size}");
        }
    }
}

#[test]
fn a_large_text_in_a_sequence_outside_of_maps_is_not_replaced() {
    let [one, other] = [4096, 4097].map(|n| typed(&[encoded(n)]).unwrap());
    assert_ne!(one, other);
    assert_ne!(typed(&[encoded(4097)]), typed(&encoded(4097)));
}

#[test]
fn a_value_may_take_fingerprints_itself() {
    struct Sealed(Value);
    impl Serialize for Sealed {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = typed(&self.0).map_err(S::Error::custom)?;
            serializer.serialize_bytes(inner.as_bytes())
        }
    }
    #[derive(Serialize)]
    struct Envelope {
        z: u8,
        sealed: Sealed,
        a: u8,
    }
    let envelope = |text| {
        let sealed = Sealed(json!({"b": text, "a": {"c": text}}));
        typed(&Envelope { z: 1, sealed, a: 2 }).unwrap()
    };
    assert_eq!(envelope("x"), envelope("x"));
    assert_ne!(envelope("x"), envelope("y"));
}

/// What a careless `Serialize` implementation may do.
enum Careless {
    IgnoresTheErrorOfAnEntry,
    IgnoresTheErrorOfAnElement,
    ValueWithoutKey,
    KeyWithoutValue,
    KeyAfterKey,
    DisplayFails,
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("b", &"x".repeat(9000))?;
        map.serialize_entry("a", &1)?;
        Err(S::Error::custom("half way"))
    }
}

impl std::fmt::Display for Fails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("half")?;
        Err(std::fmt::Error)
    }
}

impl Serialize for Careless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::DisplayFails => return serializer.collect_str(&Fails),
            Self::IgnoresTheErrorOfAnElement => {
                let mut seq = serializer.serialize_seq(None)?;
                let _ = seq.serialize_element(&Fails);
                seq.serialize_element(&"x".repeat(9000))?;
                return seq.end();
            }
            _ => {}
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("z", &1)?;
        match self {
            Self::IgnoresTheErrorOfAnEntry => {
                let _ = map.serialize_entry("k", &[Fails]);
                let _ = map.serialize_entry(&Fails, "v");
                map.serialize_entry("a", &"x".repeat(9000))?;
            }
            Self::ValueWithoutKey => map.serialize_value("v")?,
            Self::KeyAfterKey => {
                map.serialize_key("k")?;
                map.serialize_key("k")?;
            }
            _ => map.serialize_key("k")?,
        }
        map.end()
    }
}

#[test]
fn a_value_that_breaks_the_rules_is_an_error_and_never_a_panic() {
    for careless in [
        Careless::IgnoresTheErrorOfAnEntry,
        Careless::IgnoresTheErrorOfAnElement,
        Careless::ValueWithoutKey,
        Careless::KeyWithoutValue,
        Careless::KeyAfterKey,
        Careless::DisplayFails,
    ] {
        let alone = typed(&careless);
        assert!(
            matches!(alone, Err(FingerprintError::Contract(_))),
            "{alone:?}"
        );
        let inside = typed(&BTreeMap::from([("a", [&careless])]));
        assert_eq!(inside, alone);
    }
}

#[test]
fn the_error_of_a_value_is_passed_on() {
    assert_eq!(
        typed(&Fails),
        Err(FingerprintError::Custom("half way".into()))
    );
}
