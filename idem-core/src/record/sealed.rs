//! The form of what is sealed: readable without its key up to the ciphertext.

use bytes::Bytes;
#[cfg(feature = "encryption")]
use bytes::{BufMut, BytesMut};

#[cfg(feature = "encryption")]
use super::{
    CHECKSUM_BYTES, VERSION,
    write::{bytes_len, number_len, put_bytes, put_number},
};
use super::{KIND_SEALED, KeyId, RecordError, head, read::Reader};

/// How long a nonce of XChaCha20-Poly1305 is.
pub(crate) const NONCE_BYTES: usize = 24;
/// How long its tag is.
pub(crate) const TAG_BYTES: usize = 16;

const HEAD: [u8; 6] = head(KIND_SEALED);

/// A sealed record or recovery point, closed.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "encryption"),
    expect(dead_code, reason = "nobody can open it")
)]
pub(crate) struct Sealed {
    pub(crate) key: KeyId,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) ciphertext: Bytes,
    pub(crate) tag: [u8; TAG_BYTES],
}

/// Whether it says of itself that it is sealed.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(&HEAD)
}

impl Sealed {
    /// The version that is written, for what binds it.
    #[cfg(feature = "encryption")]
    pub(crate) const VERSION: u8 = VERSION;

    /// Reads it as far as that goes without a key.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        Reader::of_kind(KIND_SEALED, bytes)?.sealed()
    }

    /// Its form around what `encrypt` makes, in place, of the bytes that it is
    /// given; in one allocation.
    #[cfg(feature = "encryption")]
    pub(crate) fn encode<E>(
        key: &KeyId,
        nonce: &[u8; NONCE_BYTES],
        plain: &[u8],
        encrypt: impl FnOnce(&mut [u8]) -> Result<[u8; TAG_BYTES], E>,
    ) -> Result<Bytes, E> {
        let id = key.as_str().as_bytes();
        let closed = plain.len() + TAG_BYTES;
        let length = number_len(closed as u64) + closed;
        let length = HEAD.len() + bytes_len(id) + NONCE_BYTES + length + CHECKSUM_BYTES;
        let mut out = BytesMut::with_capacity(length);
        out.put_slice(&HEAD);
        put_bytes(&mut out, id);
        out.put_slice(nonce);
        put_number(&mut out, closed as u64);
        let start = out.len();
        out.put_slice(plain);
        let tag = encrypt(out.get_mut(start..).unwrap_or_default())?;
        out.put_slice(&tag);
        let checksum = crc32fast::hash(&out);
        out.put_u32_le(checksum);
        Ok(out.freeze())
    }
}

impl Reader {
    /// What follows the kind of a sealed one, to its end.
    pub(super) fn sealed(&mut self) -> Result<Sealed, RecordError> {
        let key = KeyId::read(&self.bytes()?).ok_or(RecordError::Malformed)?;
        let rest = self.bytes.slice(self.at..);
        let (nonce, _) = rest.split_first_chunk().ok_or(RecordError::Truncated)?;
        self.at += NONCE_BYTES;
        let closed = self.bytes()?;
        let (ciphertext, tag) = closed.split_last_chunk().ok_or(RecordError::Truncated)?;
        self.end()?;
        Ok(Sealed {
            key,
            nonce: *nonce,
            ciphertext: closed.slice(..ciphertext.len()),
            tag: *tag,
        })
    }
}
