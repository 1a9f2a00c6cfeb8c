//! What the keys of a map or struct come to.

use sha2::{Digest, Sha256};

use super::tag;

/// The most bytes of keys that are kept as they are; so many bytes of their digest stand for more.
/// Part of the canonical form.
///
/// It is 24 bytes of SHA-256, and not all 32, so that most small structs are one block of it. What
/// that is worth to an attacker is in the [module documentation](super#canonical-form).
const KEYS_LIMIT: usize = 24;

/// The keys of a map, as they stand at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The tag and the keys or their digest, filled up with zeros.
    bytes: [u8; 31],
    len: u8,
}

impl Shape {
    /// Of no map.
    pub(super) const NONE: Self = Self {
        bytes: [0; 31],
        len: 0,
    };

    /// Of encoded keys in canonical order, which take so many bytes together.
    fn of<'k>(size: usize, keys: impl Iterator<Item = &'k [u8]>) -> Self {
        let mut bytes = [0; 31];
        let mut len = 1;
        if size > KEYS_LIMIT {
            let mut hasher = Sha256::new();
            keys.for_each(|key| hasher.update(key));
            bytes[0] = tag::KEYS_DIGEST;
            bytes[1..=KEYS_LIMIT].copy_from_slice(&hasher.finalize()[..KEYS_LIMIT]);
            len += KEYS_LIMIT;
        } else {
            bytes[0] = tag::KEYS;
            for key in keys {
                bytes[len..len + key.len()].copy_from_slice(key);
                len += key.len();
            }
        }
        Self {
            bytes,
            len: len as u8,
        }
    }

    /// The encoding is the first so many bytes.
    #[inline]
    pub(super) fn encoded(&self) -> (&[u8; 31], usize) {
        (&self.bytes, self.len.into())
    }
}

/// How many digests of keys a thread remembers, and of how many bytes of keys.
const REMEMBERED: usize = 32;
const REMEMBERED_SIZE: usize = 512;

/// The shapes of maps, which often have the keys of an earlier one.
#[derive(Default)]
pub(super) struct Shapes {
    remembered: Vec<Remembered>,
}

/// A shape, and the keys that it is of.
#[derive(Clone)]
struct Remembered {
    keys: Vec<u8>,
    shape: Shape,
}

impl Shapes {
    /// The shape of encoded keys in canonical order.
    pub(super) fn get<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]> + Clone) -> Shape {
        let size = keys.clone().map(<[u8]>::len).sum();
        if !(KEYS_LIMIT + 1..=REMEMBERED_SIZE).contains(&size) {
            return Shape::of(size, keys);
        }
        if self.remembered.is_empty() {
            let nothing = Remembered {
                keys: Vec::new(),
                shape: Shape::NONE,
            };
            self.remembered = vec![nothing; REMEMBERED];
        }
        let place = keys.clone().fold(size, spread) % REMEMBERED;
        let remembered = &mut self.remembered[place];
        if !remembered.is_of(size, keys.clone()) {
            remembered.shape = Shape::of(size, keys.clone());
            remembered.keys.clear();
            keys.for_each(|key| remembered.keys.extend_from_slice(key));
        }
        remembered.shape
    }
}

impl Remembered {
    fn is_of<'k>(&self, size: usize, mut keys: impl Iterator<Item = &'k [u8]>) -> bool {
        let mut rest = &self.keys[..];
        rest.len() == size
            && keys.all(|key| {
                let (Some(first), Some(others)) = (rest.get(..key.len()), rest.get(key.len()..))
                else {
                    return false;
                };
                rest = others;
                first == key
            })
    }
}

/// Takes a key into account for the place where its map's shape is remembered.
fn spread(place: usize, key: &[u8]) -> usize {
    let last = key.last_chunk().map_or(0, |last| u16::from_le_bytes(*last));
    place.wrapping_mul(31).wrapping_add(usize::from(last))
}
