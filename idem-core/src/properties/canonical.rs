//! The canonical form is what its reference says.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{reference, taken::Taken};
use crate::{Fingerprint, FingerprintBuilder, FingerprintError};

/// `data` is JSON, or else the making of it: the form agrees with the reference, and does not
/// change with the order of entries, with nulls, or with the writing.
pub fn canonical(data: &[u8]) {
    let value: Value = serde_json::from_slice(data).unwrap_or_else(|_| Taken(data).json(6));
    let fingerprint = typed(&value).expect("JSON that could be read is not too deep");
    let expected = Fingerprint::from_bytes(reference::fingerprint(&value));
    assert_eq!(fingerprint, expected, "{value}");
    assert_eq!(typed(&Backwards(&value)), Ok(fingerprint), "{value}");
    let written: Value =
        serde_json::from_str(&format!("{value:#}")).expect("what was written is read");
    assert_eq!(typed(&written), Ok(fingerprint), "{value}");
}

fn typed<T: Serialize>(value: &T) -> Result<Fingerprint, FingerprintError> {
    let mut builder = FingerprintBuilder::new();
    builder.typed(value)?;
    Ok(builder.finish())
}

/// The same value, its entries in the opposite order and with nulls between them.
struct Backwards<'a>(&'a Value);

impl Serialize for Backwards<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(elements) => serializer.collect_seq(elements.iter().map(Backwards)),
            Value::Object(entries) => {
                let mut map = serializer.serialize_map(None)?;
                for (index, (key, value)) in entries.iter().rev().enumerate() {
                    map.serialize_entry(key, &Backwards(value))?;
                    map.serialize_entry(&format!("null {index}"), &())?;
                }
                map.end()
            }
            leaf => leaf.serialize(serializer),
        }
    }
}
