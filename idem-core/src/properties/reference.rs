//! The canonical form a second time: slow, obvious, and without a line in common.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The fingerprint of one typed value.
pub(super) fn fingerprint(value: &Value) -> [u8; 32] {
    let mut domain = b"idem.fingerprint\x01".to_vec();
    domain.resize(64, 0);
    let all = [&domain[..], &[0x32], &part(encode(value))].concat();
    Sha256::digest(all).into()
}

fn encode(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![0x00],
        Value::Bool(false) => vec![0x01],
        Value::Bool(true) => vec![0x02],
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => non_negative(number),
            (None, Some(number), _) => sized(0x20, number.unsigned_abs()),
            (None, None, Some(number)) => {
                // Adding a positive zero turns a negative one positive.
                [&[0x03], &(number + 0.0).to_bits().to_le_bytes()[..]].concat()
            }
            (None, None, None) => unreachable!("serde_json has no fourth kind of number"),
        },
        Value::String(text) => string(text),
        Value::Array(elements) => sequence(elements),
        Value::Object(entries) => {
            let (values, keys) = map(entries);
            [values, keys].concat()
        }
    }
}

fn non_negative(number: u64) -> Vec<u8> {
    match number {
        small @ 0..64 => vec![0x40 + small as u8],
        _ => sized(0x10, number),
    }
}

/// A number after the number of its bytes.
fn sized(tag: u8, mut magnitude: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while magnitude > 0 {
        bytes.push((magnitude % 256) as u8);
        magnitude /= 256;
    }
    [&[tag + bytes.len() as u8], &bytes[..]].concat()
}

fn string(text: &str) -> Vec<u8> {
    let prefix = match text.len() {
        short @ 0..128 => vec![0x80 + short as u8],
        long => [vec![0x04], non_negative(long as u64)].concat(),
    };
    [&prefix, text.as_bytes()].concat()
}

fn sequence(elements: &[Value]) -> Vec<u8> {
    let mut bytes = vec![0x08];
    let mut keys_before = None;
    for element in elements {
        let Value::Object(entries) = element else {
            bytes.extend(encode(element));
            continue;
        };
        let (values, keys) = map(entries);
        bytes.extend(values);
        if keys_before.as_ref() == Some(&keys) {
            bytes.push(0x0d);
        } else {
            bytes.extend(&keys);
        }
        keys_before = Some(keys);
    }
    bytes.push(0x09);
    bytes
}

/// The values with what is before them, and what their keys are.
fn map(entries: &Map<String, Value>) -> (Vec<u8>, Vec<u8>) {
    let mut entries: Vec<_> = entries
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (part(string(key)), part(encode(value))))
        .collect();
    entries.sort();
    let (keys, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    let keys = match keys.concat() {
        short if short.len() <= 24 => [&[0x0b], &short[..]].concat(),
        long => [&[0x0c], &Sha256::digest(long)[..24]].concat(),
    };
    ([&[0x0a], &values.concat()[..]].concat(), keys)
}

fn part(encoded: Vec<u8>) -> Vec<u8> {
    if encoded.len() <= 4096 {
        return encoded;
    }
    [&[0x07], &Sha256::digest(encoded)[..]].concat()
}
