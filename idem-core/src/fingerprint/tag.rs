//! The first byte of everything that goes into a fingerprint.
//!
//! A tag never changes its meaning within one
//! [`FINGERPRINT_VERSION`](super::FINGERPRINT_VERSION).

pub(super) const NULL: u8 = 0x00;
pub(super) const FALSE: u8 = 0x01;
pub(super) const TRUE: u8 = 0x02;
pub(super) const FLOAT: u8 = 0x03;
/// A string of 128 bytes or more; a shorter one has its length in its tag, [`SHORT_STR`].
pub(super) const STR: u8 = 0x04;
pub(super) const BYTES: u8 = 0x05;
pub(super) const VARIANT: u8 = 0x06;
pub(super) const DIGEST: u8 = 0x07;
pub(super) const SEQ: u8 = 0x08;
pub(super) const SEQ_END: u8 = 0x09;
pub(super) const MAP: u8 = 0x0A;
/// What a map ends in: its keys, the digest of its keys, or the word that they are those of the
/// map before.
pub(super) const KEYS: u8 = 0x0B;
pub(super) const KEYS_DIGEST: u8 = 0x0C;
pub(super) const KEYS_AS_BEFORE: u8 = 0x0D;
/// Plus the number of bytes, 1 to 16.
pub(super) const NON_NEGATIVE: u8 = 0x10;
/// Plus the number of bytes, 1 to 16.
pub(super) const NEGATIVE: u8 = 0x20;
/// Plus the integer itself, below 64.
pub(super) const SMALL: u8 = 0x40;
/// Plus the length, below 128.
pub(super) const SHORT_STR: u8 = 0x80;

// Parts of a fingerprint, above the values.
pub(super) const REQUEST: u8 = 0x31;
pub(super) const TYPED: u8 = 0x32;
pub(super) const RAW: u8 = 0x33;
pub(super) const TEXT: u8 = 0x34;
pub(super) const NOTHING: u8 = 0x35;

/// The integers that are their own tag.
pub(super) const SMALL_LIMIT: u64 = 64;
/// The lengths of strings that have a place in the tag.
pub(super) const SHORT_LIMIT: usize = 128;

/// The longest [`prefix`].
pub(super) const PREFIX: usize = 2 + size_of::<u64>();

/// A tag, and as an integer the length of what follows. The first so many bytes count.
pub(super) fn prefix(tag: u8, len: usize) -> ([u8; PREFIX], usize) {
    let mut prefix = [tag; PREFIX];
    let (len, size) = integer(NON_NEGATIVE, len as u64);
    prefix[1..].copy_from_slice(&len);
    (prefix, 1 + size)
}

/// The same for a string, which if it is short has its length in the tag.
pub(super) fn str_prefix(len: usize) -> ([u8; PREFIX], usize) {
    if len < SHORT_LIMIT {
        return ([SHORT_STR + len as u8; PREFIX], 1);
    }
    prefix(STR, len)
}

/// What stands for something long.
pub(super) fn digest(digest: impl Into<[u8; 32]>) -> [u8; 33] {
    let mut encoded = [DIGEST; 33];
    encoded[1..].copy_from_slice(&digest.into());
    encoded
}

/// An integer. The first so many bytes count.
#[inline]
pub(super) fn integer(sign: u8, magnitude: u64) -> ([u8; 9], usize) {
    if sign == NON_NEGATIVE && magnitude < SMALL_LIMIT {
        return ([SMALL + magnitude as u8; 9], 1);
    }
    let len = size_of::<u64>() - magnitude.leading_zeros() as usize / 8;
    let mut encoded = [sign + len as u8; 9];
    encoded[1..].copy_from_slice(&magnitude.to_le_bytes());
    (encoded, 1 + len)
}
