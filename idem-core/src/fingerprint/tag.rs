//! The first byte of everything that goes into a fingerprint.
//!
//! A tag never changes its meaning within one
//! [`FINGERPRINT_VERSION`](super::FINGERPRINT_VERSION).

pub(super) const NULL: u8 = 0x00;
pub(super) const FALSE: u8 = 0x01;
pub(super) const TRUE: u8 = 0x02;
pub(super) const NON_NEGATIVE: u8 = 0x03;
pub(super) const NEGATIVE: u8 = 0x04;
pub(super) const FLOAT: u8 = 0x05;
pub(super) const STR: u8 = 0x06;
pub(super) const BYTES: u8 = 0x07;
pub(super) const SEQ: u8 = 0x08;
pub(super) const MAP: u8 = 0x09;
pub(super) const VARIANT: u8 = 0x0A;
pub(super) const DIGEST: u8 = 0x0B;
pub(super) const END: u8 = 0x0F;

// Parts of a fingerprint, above the values.
pub(super) const REQUEST: u8 = 0x10;
pub(super) const TYPED: u8 = 0x11;
pub(super) const RAW: u8 = 0x12;
pub(super) const TEXT: u8 = 0x13;
pub(super) const NOTHING: u8 = 0x14;

/// The length of a [`prefix`].
pub(super) const PREFIX: usize = 9;

/// A tag and the length of what follows it.
#[inline]
pub(super) fn prefix(tag: u8, len: usize) -> [u8; PREFIX] {
    let mut prefix = [tag; PREFIX];
    prefix[1..].copy_from_slice(&(len as u64).to_le_bytes());
    prefix
}
