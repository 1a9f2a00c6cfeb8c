//! Idempotency keys for the services downstream.

use sha2::{Digest, Sha256};

/// Part of every key: a change of the derivation changes every key.
const DOMAIN: &[u8] = b"idem step key 1";

/// A UUID of version 8 ([RFC 9562 §5.8](https://www.rfc-editor.org/rfc/rfc9562#section-5.8)),
/// which every service takes as an idempotency key.
pub(super) fn derive(seed: &[u8], name: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(DOMAIN);
    digest.update(seed);
    digest.update(name.as_bytes());
    let digest = digest.finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: a key that changes with a release charges a card twice.
    #[test]
    fn a_key_never_changes() {
        assert_eq!(
            derive(&[7; 64], "charge"),
            "d4b35d3c-0139-861c-ac10-fa614476cebe"
        );
        assert_ne!(derive(&[7; 64], "charge"), derive(&[8; 64], "charge"));
        assert_ne!(derive(&[7; 64], "charge"), derive(&[7; 64], "ship"));
    }
}
