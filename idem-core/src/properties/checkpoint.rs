//! A finished step's result is what was kept, or an error.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::taken::Taken;
use crate::runtime::checkpoints::{decode, encode};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Charge {
    id: String,
    cents: u64,
    rate: Option<f64>,
    more: Vec<(i8, bool)>,
}

/// `data` as the store's bytes; as the JSON of a result, or the making of it, that was kept, whole
/// and damaged.
pub fn checkpoint(data: &[u8]) {
    reads::<Value>(data);
    reads::<Charge>(data);
    reads::<()>(data);

    let mut taken = Taken(data);
    let made = match serde_json::from_slice(data) {
        Ok(value) => value,
        Err(_) => taken.json(4),
    };
    let kept = encode(&made).expect("JSON can be kept");
    let read: Value = decode("step", &kept).expect("what was kept is read");
    assert_eq!(encode(&read), Some(kept.clone()));
    let at = usize::from(u16::from_le_bytes([taken.byte(), taken.byte()])) % kept.len();
    reads::<Value>(&kept[..at]);
    let mut damaged = kept;
    damaged[at] ^= 1 << (taken.byte() % 8);
    reads::<Value>(&damaged);
    reads::<Charge>(&damaged);
}

/// Whatever can be read has the fingerprint that was kept beside it, and so can be kept again.
fn reads<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) {
    let Ok(read) = decode::<T>("step", bytes) else {
        return;
    };
    let again = encode(&read).expect("what was read can be kept");
    assert_eq!(again.get(..34), bytes.get(..34));
}
