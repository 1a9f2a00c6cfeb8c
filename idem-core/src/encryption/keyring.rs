//! The keys of a runtime.

use std::{fmt, sync::Arc};

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use crate::record::{KeyId, KeyIdError};

/// How long a key is.
pub const KEY_BYTES: usize = 32;

/// An encryption key and its name. Neither `Debug` nor anything else shows the key; its
/// memory is overwritten when it is dropped.
///
/// ```
/// use idem_core::encryption::Key;
///
/// # let random = [7; 32];
/// let key = Key::new("2026-11", &random)?;
/// assert_eq!(format!("{key:?}"), "Key { id: KeyId(2026-11), .. }");
/// assert!(Key::new("2026-11", b"too short").is_err());
/// # Ok::<(), idem_core::encryption::KeyringError>(())
/// ```
pub struct Key {
    id: KeyId,
    /// In a box, so that moving the key leaves no copies of it behind.
    cipher: Box<XChaCha20Poly1305>,
}

impl Key {
    /// A key of [`KEY_BYTES`] random bytes, not a password. Its name stands in
    /// what is sealed under it, and is never given to another key.
    ///
    /// # Errors
    /// [`KeyringError`]: the name or the length.
    pub fn new(id: &str, key: &[u8]) -> Result<Self, KeyringError> {
        let id = id.parse()?;
        let cipher = XChaCha20Poly1305::new_from_slice(key);
        let cipher = cipher.map_err(|_| KeyringError::Length {
            id,
            length: key.len(),
        })?;
        Ok(Self {
            id,
            cipher: Box::new(cipher),
        })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.cipher
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The keys of a runtime: the first seals, and all open, see
/// [the module](crate::encryption).
/// Cheap to clone; clones share the keys.
#[derive(Debug, Clone)]
#[must_use]
pub struct Keyring {
    /// The first seals.
    sealing: Arc<Key>,
    others: Vec<Arc<Key>>,
    reads_unsealed: bool,
}

impl Keyring {
    /// With the key that seals.
    pub fn new(key: Key) -> Self {
        Self {
            sealing: Arc::new(key),
            others: Vec::new(),
            reads_unsealed: false,
        }
    }

    /// With one more key that opens.
    ///
    /// # Errors
    /// [`KeyringError::Repeated`]: there is a key of this name already.
    pub fn also_reads(mut self, key: Key) -> Result<Self, KeyringError> {
        if self.key(key.id()).is_some() {
            return Err(KeyringError::Repeated { id: key.id });
        }
        self.others.push(Arc::new(key));
        Ok(self)
    }

    /// What is not sealed is read too, for as long as there are records from before there
    /// were keys. Somebody who can write to the store can then write whatever is read.
    pub const fn reads_unsealed(mut self) -> Self {
        self.reads_unsealed = true;
        self
    }

    /// The name of the key that seals.
    #[must_use]
    pub fn seals_under(&self) -> &KeyId {
        self.sealing.id()
    }

    pub(super) fn sealing(&self) -> &Key {
        &self.sealing
    }

    pub(super) fn key(&self, id: &KeyId) -> Option<&Key> {
        let mut keys = std::iter::once(&self.sealing).chain(&self.others);
        keys.find(|key| key.id() == id).map(AsRef::as_ref)
    }

    pub(super) const fn takes_unsealed(&self) -> bool {
        self.reads_unsealed
    }
}

/// A key that cannot be one, or two of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The name cannot be one.
    #[error(transparent)]
    Id(#[from] KeyIdError),
    /// The key has another length.
    #[error(
        "the encryption key \"{id}\" has {length} bytes; it needs {KEY_BYTES} random ones (decode it first, if it is \
         kept as text)"
    )]
    Length {
        /// Its name.
        id: KeyId,
        /// How many bytes it has.
        length: usize,
    },
    /// Two keys have the same name.
    #[error(
        "two encryption keys are called \"{id}\"; a key keeps its name, and a new key has a new one"
    )]
    Repeated {
        /// Their name.
        id: KeyId,
    },
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    fn key(id: &str) -> Key {
        Key::new(id, &[0x5a; KEY_BYTES]).unwrap()
    }

    #[test]
    fn a_key_of_another_length_or_a_bad_name_is_refused_and_neither_is_shown() {
        for length in [0, 16, 31, 33, 64] {
            let error = Key::new("k", &vec![0x5a; length]).unwrap_err();
            let id = "k".parse().unwrap();
            assert_eq!(error, KeyringError::Length { id, length });
        }
        let error = Key::new("hunter2 hunter2", &[0; KEY_BYTES]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_name_is_given_once() {
        let id = "a".parse().unwrap();
        let twice = Keyring::new(key("a")).also_reads(key("a"));
        assert_eq!(twice.unwrap_err(), KeyringError::Repeated { id });
        let ring = Keyring::new(key("b")).also_reads(key("a")).unwrap();
        assert!(ring.also_reads(key("a")).is_err());
    }

    #[test]
    fn nothing_shows_a_key() {
        let ring = Keyring::new(key("a")).also_reads(key("b")).unwrap();
        let shown = format!("{ring:?} {ring:#?}");
        assert!(shown.contains("KeyId(a)") && shown.contains("KeyId(b)"));
        for digits in ["5a", "5A", "90, 90", "ZZ"] {
            assert!(!shown.contains(digits), "{shown}");
        }
    }

    /// Does not compile if the cipher keeps its key.
    #[test]
    fn a_dropped_key_is_overwritten() {
        fn is_overwritten<T: ZeroizeOnDrop>(_: &T) {}
        is_overwritten(key("a").cipher());
    }
}
