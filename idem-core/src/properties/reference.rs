//! The canonical form a second time: slow, obvious, and without a line in common.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The fingerprint of one typed value.
pub(super) fn fingerprint(value: &Value) -> [u8; 32] {
    let all = [b"idem.fingerprint\x01\x11", &encode(value)[..]].concat();
    Sha256::digest(all).into()
}

fn encode(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![0x00],
        Value::Bool(false) => vec![0x01],
        Value::Bool(true) => vec![0x02],
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => integer(0x03, number),
            (None, Some(number), _) => integer(0x04, number.unsigned_abs()),
            (None, None, Some(number)) => {
                // Adding a positive zero turns a negative one positive.
                [&[0x05], &(number + 0.0).to_bits().to_le_bytes()[..]].concat()
            }
            (None, None, None) => unreachable!("serde_json has no fourth kind of number"),
        },
        Value::String(text) => prefixed(0x06, text.as_bytes()),
        Value::Array(elements) => {
            let elements: Vec<u8> = elements.iter().flat_map(encode).collect();
            [&[0x08], &elements[..], &[0x0f]].concat()
        }
        Value::Object(entries) => {
            let mut encoded: Vec<_> = entries
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (prefixed(0x06, key.as_bytes()), value))
                .map(|(key, value)| (part(key), part(encode(value))))
                .collect();
            encoded.sort();
            let entries: Vec<u8> = encoded
                .into_iter()
                .flat_map(|(k, v)| [k, v].concat())
                .collect();
            [&[0x09], &entries[..], &[0x0f]].concat()
        }
    }
}

fn prefixed(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u64;
    [&[tag], &length.to_le_bytes()[..], content].concat()
}

fn integer(tag: u8, mut magnitude: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while magnitude > 0 {
        bytes.push((magnitude % 256) as u8);
        magnitude /= 256;
    }
    [&[tag, bytes.len() as u8], &bytes[..]].concat()
}

fn part(encoded: Vec<u8>) -> Vec<u8> {
    if encoded.len() <= 4096 {
        return encoded;
    }
    [&[0x0b], &Sha256::digest(encoded)[..]].concat()
}
