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
        "a6f935b8828f37bdd54aa659d58bf2abcc038a8ecdf3da482b3d46b98a9c3b25"
    );
}

#[test]
fn a_request_is_frozen() {
    let fingerprint = FingerprintBuilder::request("POST", "/payments", None).finish();
    assert_eq!(
        hex(fingerprint),
        "3c551d12cc98af04805052001a96b55a43b0be21b41597945ed688f76527c588"
    );
}

#[test]
fn a_request_with_a_query_is_frozen() {
    let query = Some("dry_run=true");
    let fingerprint = FingerprintBuilder::request("POST", "/payments", query).finish();
    assert_eq!(
        hex(fingerprint),
        "636d4d2d2ac95e9a173f8d61e24b64d5b46f3ebc5c49798b09978bb81968922d"
    );
}

#[test]
fn a_request_with_every_kind_of_part_is_frozen() {
    let mut builder = FingerprintBuilder::request("POST", "/payments", None);
    assert!(builder.typed(&1).is_ok());
    builder.raw(b"\x00\xff").text("hi").nothing();
    assert_eq!(
        hex(builder.finish()),
        "be9cfd4f12fe85f506701c74ba1159298e6f85e60d1753c264adada576d077f7"
    );
}

#[test]
fn null_booleans_strings_and_chars_are_frozen() {
    assert_eq!(
        typed(&((), true, false, "é", 'é')),
        "62332fe8f046728e21b65c65807f0eb51da3c02c00e67b54f0f43c17b653c8b7"
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
        "e11b7c2be91565e901f32d2c77ad6664cfef176498cac23bfed7ea92f143e389"
    );
}

#[test]
fn floats_are_frozen() {
    let floats = (1.5_f32, -0.0, -f64::NAN, f64::INFINITY, f32::NEG_INFINITY);
    assert_eq!(
        typed(&floats),
        "099d294abefe4b70a7184d40bdf75c58b3f23046e7f1f299bb7addc9f2f4ed5b"
    );
}

#[test]
fn bytes_are_frozen() {
    assert_eq!(
        typed(&Bytes(&[0, 1, 2])),
        "5afd10186a73b43a7dde58057e09a70bc50eec096986b14e5c319ecf91aad2cf"
    );
}

#[test]
fn nested_structs_are_frozen() {
    assert_eq!(
        typed(&payment()),
        "98f0c84d03b99a68d589149e69f440fe4512dd6189efb1a7f77979fe3ed0d9a8"
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
        "cf2fa884e695f375b30692f0595919b535b1c35636ab2a3c7b7fc5205bbeffdf"
    );
}

#[test]
fn maps_with_keys_that_are_not_strings_are_frozen() {
    let map = HashMap::from([(300, "c"), (1, "a"), (2, "b")]);
    assert_eq!(
        typed(&map),
        "54638c2e48f2e0077763c3ddaef77e1392863b24e6eb3accaa014d227b992ff4"
    );
}

#[test]
fn a_long_string_is_frozen() {
    assert_eq!(
        typed(&"x".repeat(5000)),
        "70237c835c91cf5b9524f1001965c8ab41556262e4ab1618c547ae492f4b40c5"
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
        "7d2fcf9926482785b573733634a56b5fe8fd081d2ebdce51f88f408072b67d42"
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
        fill: vec!["yyyyyyyy"; 300],
        data: "x".repeat(5000),
    };
    assert_eq!(
        typed(&BTreeMap::from([("outer", inner)])),
        "e60b3640ac0354d893e8c4a77a336b64c27a8746a970076f320302afce64f68f"
    );
}

/// One of them byte by byte, so that the form can be read here too.
#[test]
fn a_nested_struct_is_these_very_bytes() {
    fn text(text: &str) -> Vec<u8> {
        let length = (text.len() as u64).to_le_bytes();
        [&[0x06], &length[..], text.as_bytes()].concat()
    }
    let bytes = [
        b"idem.fingerprint\x01".to_vec(),
        vec![0x11], // a typed payload
        vec![0x09], // a map; shorter keys come first, for the length precedes the text
        text("amount"),
        vec![0x03, 2, 0xd4, 0x30], // 12500 in two bytes
        text("currency"),
        text("EUR"),
        text("customer"),
        vec![0x09],
        text("id"),
        text("cus_1"),
        text("tags"),
        vec![0x08], // a sequence, which keeps its null
        text("a"),
        vec![0x00],
        vec![0x0f, 0x0f, 0x0f],
    ];
    let expected = Fingerprint::from_bytes(Sha256::digest(bytes.concat()).into());
    assert_eq!(typed(&payment()), hex(expected));
}
