//! The name of an encryption key, as it stands in the records that are sealed under it.

use std::{fmt, str::FromStr};

/// How long a key's name may be.
pub const MAX_KEY_ID_BYTES: usize = 32;

/// The name of an encryption key: 1 to [`MAX_KEY_ID_BYTES`] letters and digits of
/// ASCII, `-`, `_` and `.`, such as `2026-11`. It is no secret: it stands in every
/// record that is sealed under the key, and in logs.
///
/// ```
/// use idem_core::record::KeyId;
///
/// let id: KeyId = "2026-11".parse()?;
/// assert_eq!(id.as_str(), "2026-11");
/// assert!("no spaces".parse::<KeyId>().is_err());
/// # Ok::<(), idem_core::record::KeyIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId {
    length: u8,
    /// Zero after its end, so that equal names are equal.
    bytes: [u8; MAX_KEY_ID_BYTES],
}

impl KeyId {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // ASCII, of no more than the array's length.
        let bytes = self.bytes.get(..usize::from(self.length));
        bytes
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    pub(super) fn read(name: &[u8]) -> Option<Self> {
        std::str::from_utf8(name).ok()?.parse().ok()
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(name: &str) -> Result<Self, KeyIdError> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let mut bytes = [0; MAX_KEY_ID_BYTES];
        match bytes.get_mut(..name.len()) {
            Some(place) if !name.is_empty() && name.bytes().all(is_good) => {
                place.copy_from_slice(name.as_bytes());
                Ok(Self {
                    // It is at the most `MAX_KEY_ID_BYTES`.
                    length: name.len() as u8,
                    bytes,
                })
            }
            _ => Err(KeyIdError),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A text that is no [`KeyId`]. It is not repeated here: it may be a key that was
/// given in its name's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an encryption key's name is 1 to {MAX_KEY_ID_BYTES} letters, digits, `-`, `_` and `.`, such as 2026-11"
)]
pub struct KeyIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        let longest = "k".repeat(MAX_KEY_ID_BYTES);
        for good in ["a", "2026-11", "eu_west.3", &longest] {
            assert_eq!(good.parse::<KeyId>().unwrap().as_str(), good);
        }
        let too_long = "k".repeat(MAX_KEY_ID_BYTES + 1);
        for bad in ["", " ", "a b", "a,b", "a=b", "ä", "a\n", &too_long] {
            assert_eq!(bad.parse::<KeyId>(), Err(KeyIdError), "{bad:?}");
        }
    }
}
