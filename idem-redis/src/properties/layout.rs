//! A value is a slot of version 1, or an error that says why not.

use bytes::Bytes;
use idem_core::{Slot, SlotState, StateKind};

use crate::layout::{LayoutError, Stored, hex, slot_of, steps};

/// `data` is a key's `PTTL` (eight bytes, big-endian) and its value; and a key.
pub fn layout(data: &[u8]) {
    if let Some((expiry, value)) = data.split_first_chunk::<8>() {
        let expiry = i64::from_be_bytes(*expiry);
        let value = Bytes::copy_from_slice(value);
        is_read(&value, expiry);
        steps_are_read(&value);
    }
    if let Some(slot) = slot_of(data, "idem:") {
        let key = format!("idem:{}", hex(slot.as_bytes()));
        assert_eq!(data, key.as_bytes());
    }
}

fn is_read(value: &Bytes, expiry: i64) {
    let slot = Slot::from_bytes([7; 32]);
    let stored = match Stored::read(value, expiry) {
        Ok(stored) => stored,
        Err(LayoutError::Version(version)) => {
            assert_ne!(version, 1);
            return;
        }
        Err(LayoutError::Foreign { beginning }) => {
            // It goes into logs.
            assert!(beginning.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
            return;
        }
        Err(LayoutError::NoExpiry) => return assert!(expiry < 0),
        Err(error) => panic!("{error}"),
    };
    let says = |start: &str| value.starts_with(start.as_bytes());
    let is_completed = says("idem1 completed ");
    assert!(is_completed || says("idem1 in-flight ") || says("idem1 released "));
    assert_eq!(stored.kind() == StateKind::Completed, is_completed);
    let completed = stored.clone().completed();
    assert_eq!(completed.is_some(), is_completed);
    let Ok(view) = stored.view(slot) else {
        return assert!(!is_completed, "only steps can be damaged");
    };
    if let Some(completed) = completed {
        let shown = SlotState::Completed {
            record: completed.record.clone(),
            expired: completed.expired,
        };
        assert_eq!(view.state, shown);
        assert!(value.ends_with(&completed.record));
    }
    let print = hex(view.fingerprint.as_bytes());
    let head = value.split(|byte| *byte == b'\n').next().unwrap();
    let fields: Vec<&str> = std::str::from_utf8(head).unwrap().split(' ').collect();
    assert_eq!(fields.len(), 8);
    assert_eq!(fields[2].parse(), Ok(view.fence.get()));
    assert!(view.fence.get() > 0 && view.attempt > 0);
    assert_eq!(fields[6], print);
}

/// Steps that can be read are all there is.
fn steps_are_read(body: &Bytes) {
    let Ok(found) = steps(body) else {
        return;
    };
    let mut written = Vec::new();
    for (name, value) in &found {
        written.extend(format!("{} {}\n{name}", name.len(), value.len()).bytes());
        written.extend(&value[..]);
        written.push(b'\n');
    }
    assert!(written.len() <= body.len());
    assert_eq!(steps(&written.into()), Ok(found));
}
