//! The canonical form, frozen.
//!
//! Stored records carry fingerprints of this form. **A change of any hash here means raising
//! `FINGERPRINT_VERSION`**, and a line in the changelog: retries that are in flight while the new
//! version is deployed will be taken for other requests.
//!
//! The hashes were computed apart from this crate, by a script that joins the bytes of the table
//! in the module's documentation.

use std::collections::{BTreeMap, HashMap};

use idem_core::fingerprint::{FINGERPRINT_VERSION, Fingerprint, FingerprintBuilder};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

#[derive(Serialize)]
struct Payment {
    currency: &'static str,
    amount: u32,
    note: Option<&'static str>,
    customer: Customer,
}

#[derive(Serialize)]
struct Customer {
    tags: Vec<Option<&'static str>>,
    nothing: (),
    id: Id,
}

#[derive(Serialize)]
struct Id(&'static str);

#[derive(Serialize)]
enum Shape {
    Unit,
    Newtype(Option<u8>),
    Tuple(u8, bool),
    Struct { a: u8, b: Option<u8> },
}

struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

fn payment() -> Payment {
    Payment {
        currency: "EUR",
        amount: 12_500,
        note: None,
        customer: Customer {
            tags: vec![Some("a"), None],
            nothing: (),
            id: Id("cus_1"),
        },
    }
}

fn hex(fingerprint: Fingerprint) -> String {
    let digits = fingerprint.as_bytes().iter();
    digits.map(|byte| format!("{byte:02x}")).collect()
}

fn typed<T: Serialize + ?Sized>(value: &T) -> String {
    let mut builder = FingerprintBuilder::new();
    assert!(builder.typed(value).is_ok());
    hex(builder.finish())
}

#[test]
fn the_hashes_here_are_those_of_version_1() {
    assert_eq!(FINGERPRINT_VERSION, 1);
}

#[test]
fn an_empty_fingerprint_is_frozen() {
    let fingerprint = FingerprintBuilder::new().finish();
    assert_eq!(
        hex(fingerprint),
        "c7577a897c92cf4bd5b2af73511c4fabc57d8fd67e4c6abd70a79f41c298e936"
    );
}

#[test]
fn a_request_is_frozen() {
    let fingerprint = FingerprintBuilder::request("POST", "/payments", None).finish();
    assert_eq!(
        hex(fingerprint),
        "d3540d6256c5ed4e506cf626f8b56e6a7d27db1387cd049139f69adee456ae1b"
    );
}

#[test]
fn a_request_with_a_query_is_frozen() {
    let query = Some("dry_run=true");
    let fingerprint = FingerprintBuilder::request("POST", "/payments", query).finish();
    assert_eq!(
        hex(fingerprint),
        "b5c6928ff181e2aa921f081c6f37969c7e0b6a807c730bee10eb43f0d463fb26"
    );
}

#[test]
fn a_request_with_every_kind_of_part_is_frozen() {
    let mut builder = FingerprintBuilder::request("POST", "/payments", None);
    assert!(builder.typed(&1).is_ok());
    builder.raw(b"\x00\xff").text("hi").nothing();
    assert_eq!(
        hex(builder.finish()),
        "5f28fc3462830197211cd31f63ffc1b303941ea867d103e1ee9ce6551309fcf1"
    );
}

#[test]
fn null_booleans_strings_and_chars_are_frozen() {
    assert_eq!(
        typed(&((), true, false, "é", 'é')),
        "d348c472f3e03b7e00fece89447c7c17450fe9c6b812b576bf30eee667cfd190"
    );
}

#[test]
fn integers_are_frozen() {
    let integers = (
        0,
        1,
        -1,
        255_u8,
        256,
        i64::MIN,
        u64::MAX,
        u128::MAX,
        i128::MIN,
    );
    assert_eq!(
        typed(&integers),
        "3efcc54b516bcfbcade272e244f513f74d6a31292a7185c9ae9516448657c909"
    );
}

#[test]
fn integers_around_the_smallest_form_are_frozen() {
    assert_eq!(
        typed(&(63, 64, -63, -64)),
        "f13fa491edc21c4abce059dd3b5d03895593d65c3149c88a8fb2225abb9f4ca3"
    );
}

#[test]
fn floats_are_frozen() {
    let floats = (1.5_f32, -0.0, -f64::NAN, f64::INFINITY, f32::NEG_INFINITY);
    assert_eq!(
        typed(&floats),
        "7b133f3c94965b29e86727481aae836f56fde323bb62bee66050c86202ce711c"
    );
}

#[test]
fn bytes_are_frozen() {
    assert_eq!(
        typed(&Bytes(&[0, 1, 2])),
        "b5d7b6618c8bd66a0566ce88433b39bf58082eec5db18de3c4cc5434bb8fb218"
    );
}

#[test]
fn many_bytes_are_frozen() {
    assert_eq!(
        typed(&Bytes(&[0xab; 100])),
        "7295b2da8728e17082df9e24f961ea19c03701888073cc70c117323693cf1a75"
    );
}

#[test]
fn nested_structs_are_frozen() {
    assert_eq!(
        typed(&payment()),
        "2216fb703002f4251baaafa78fe25d424926555e646769f0c2b94f2234ada5ca"
    );
}

/// Keys are left out where they are those of the last map of the same sequence.
#[test]
fn structs_in_a_sequence_are_frozen() {
    let [one, two, three] = [payment(), payment(), payment()];
    let customer = || payment().customer;
    let records = (one, two, customer(), (), customer(), [customer()], three);
    assert_eq!(
        typed(&records),
        "97e9b2d2ec2a14281b4715e7e46ab3db8d1a0058763920c9710c36189f634d01"
    );
}

#[test]
fn variants_in_a_sequence_are_frozen() {
    let map = BTreeMap::from([("a", 2)]);
    let shape = |a, b| Shape::Struct { a, b };
    let newtype = Shape::Newtype(None);
    let shapes = (
        shape(1, None),
        map,
        shape(3, Some(4)),
        newtype,
        shape(5, Some(6)),
    );
    assert_eq!(
        typed(&shapes),
        "d45959b382df5c36b8084ada3d4c7c1b55543bc2b0f66c842889000d9c145cc2"
    );
}

#[test]
fn enums_are_frozen() {
    let shapes = [
        Shape::Unit,
        Shape::Newtype(Some(7)),
        Shape::Newtype(None),
        Shape::Tuple(1, true),
        Shape::Struct { a: 1, b: None },
    ];
    assert_eq!(
        typed(&shapes),
        "fd3895c0580633e002000a4cff5beb048dc9da71a558f2facc233b6c5b8143b2"
    );
}

#[test]
fn maps_with_keys_that_are_not_strings_are_frozen() {
    let map = HashMap::from([(300, "c"), (1, "a"), (2, "b")]);
    assert_eq!(
        typed(&map),
        "363a69e51101fe702527af67c8d249e7da918639ec6154305fb5f401c44eeda2"
    );
}

#[test]
fn short_and_long_strings_are_frozen() {
    let text = |len| typed(&"x".repeat(len));
    assert_eq!(
        text(127),
        "08d65f87081e8f82672e6e33bc95c1dae156a2987f10bd6ff9e6c8d2e20d41ab"
    );
    assert_eq!(
        text(128),
        "24cca14951bb5e109a97aaaeafb358aecddb5befe0094510723c722b8db54c33"
    );
    assert_eq!(
        text(5000),
        "48bfbd3458f1e89878dcae9e831bd8f4d3620a96eae02cec475096b6e4ea7e23"
    );
}

#[test]
fn a_long_key_is_frozen() {
    let long = "k".repeat(5000);
    assert_eq!(
        typed(&BTreeMap::from([(&*long, 1), ("a", 2)])),
        "f493460cc7b77db4a9638a35ec3550a24bf43a4ae47b85126c970d47d4c3e67d"
    );
}

#[test]
fn an_entry_replaced_by_its_digest_is_frozen() {
    #[derive(Serialize)]
    struct Upload {
        n: u8,
        data: String,
    }
    let data = "x".repeat(5000);
    assert_eq!(
        typed(&Upload { n: 1, data }),
        "d3125fd2b76c4c1258e3ed651f711b4bdb1f281c80d46564b54eb3774a0742be"
    );
}

#[test]
fn digests_within_digests_are_frozen() {
    #[derive(Serialize)]
    struct Inner {
        fill: Vec<&'static str>,
        data: String,
    }
    let inner = Inner {
        fill: vec!["yyyyyyyy"; 500],
        data: "x".repeat(5000),
    };
    assert_eq!(
        typed(&BTreeMap::from([("outer", inner)])),
        "9dc579c0fc1e5b89d4b10a255df2febf5bed8ff80eeaa2287575da84e01c8d17"
    );
}

/// One of them byte by byte, so that the form can be read here too.
#[test]
fn a_nested_struct_is_these_very_bytes() {
    let mut domain = b"idem.fingerprint\x01".to_vec();
    domain.resize(64, 0);
    // Shorter keys come first, for the length precedes the text.
    let keys = Sha256::digest(b"\x86amount\x88currency\x88customer");
    let bytes = [
        &domain[..],
        b"\x32",         // a typed payload
        b"\x0a",         // a map: its values, in the order of their keys
        b"\x12\xd4\x30", // 12500 in two bytes
        b"\x83EUR",
        b"\x0a",
        b"\x85cus_1",
        b"\x08\x81a\x00\x09",  // a sequence, which keeps its null
        b"\x0b\x82id\x84tags", // the customer's keys
        b"\x0c",               // the digest of the payment's, which are longer
        &keys[..24],
    ];
    let expected = Fingerprint::from_bytes(Sha256::digest(bytes.concat()).into());
    assert_eq!(typed(&payment()), hex(expected));
}
