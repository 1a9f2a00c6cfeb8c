//! A record is what was encoded, or an error.

use bytes::Bytes;

use super::taken::Taken;
use crate::record::Record;
#[cfg(feature = "compression")]
use crate::{
    compression::{Compression, expand},
    record::is_compressed,
};

/// `data` as the store's bytes, with a right checksum and without; and as the making of a record.
pub fn record(data: &[u8]) {
    reads(&Bytes::copy_from_slice(data));
    let mut sealed = [b"idem\x01", data].concat();
    sealed.extend(crc32fast::hash(&sealed).to_le_bytes());
    reads(&sealed.into());

    let mut taken = Taken(data);
    let made = taken.record();
    let encoded = made.encode();
    assert_eq!(Record::decode(&encoded), Ok(made));
    // What is left says where the bytes are damaged: no single damage goes unseen.
    let (at, bit) = (
        u16::from_le_bytes([taken.byte(), taken.byte()]),
        taken.byte() % 8,
    );
    let at = usize::from(at) % encoded.len();
    assert!(Record::decode(&encoded.slice(..at)).is_err(), "cut at {at}");
    let mut damaged = encoded.to_vec();
    damaged[at] ^= 1 << bit;
    assert!(
        Record::decode(&damaged.into()).is_err(),
        "bit {bit} of {at}"
    );
}

/// What can be expanded is as long as it said, which is no more than its bytes can stand for,
/// and is compressed and expanded to the same.
#[cfg(feature = "compression")]
fn expands(bytes: &Bytes) {
    let Ok(plain) = expand(bytes) else {
        return;
    };
    assert!(plain.len() <= 255 * bytes.len());
    let stored = Compression::from(0).compress(plain.clone());
    assert!(stored.len() <= plain.len());
    if is_compressed(&stored) {
        assert_eq!(expand(&stored), Ok(plain));
    }
}

/// What can be read is read again from its own form, and reserves no more than its bytes.
fn reads(bytes: &Bytes) {
    #[cfg(feature = "compression")]
    expands(bytes);
    let Ok(record) = Record::decode(bytes) else {
        return;
    };
    if let Record::Response { headers, .. } = &record {
        assert!(headers.capacity() <= bytes.len());
    }
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}
