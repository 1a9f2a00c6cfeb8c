//! The form of what is compressed: how long it was, and a block of LZ4 to the end.

#[cfg(feature = "compression")]
use bytes::BufMut;
use bytes::Bytes;

#[cfg(feature = "compression")]
use super::{
    CHECKSUM_BYTES, begun, ended,
    write::{number_len, put_number},
};
use super::{KIND_COMPRESSED, RecordError, head, read::Reader};

const HEAD: [u8; 6] = head(KIND_COMPRESSED);

/// What a byte of a block stands for at the most: one more of a match's length.
const MOST_PER_BYTE: u64 = 255;

/// A compressed record or recovery point, not expanded.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "compression"),
    expect(dead_code, reason = "nobody can expand it")
)]
pub(crate) struct Compressed {
    /// How long it says that it was; no longer than the block can be expanded to.
    pub(crate) length: usize,
    pub(crate) block: Bytes,
}

/// Whether it says of itself that it is compressed.
pub(crate) fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&HEAD)
}

impl Compressed {
    /// Reads it as far as that goes without expanding it.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        Reader::of_kind(KIND_COMPRESSED, bytes)?.compressed()
    }

    /// How many bytes [`encode`](Self::encode) makes.
    #[cfg(feature = "compression")]
    pub(crate) const fn encoded_len(length: usize, block: usize) -> usize {
        HEAD.len() + number_len(length as u64) + block + CHECKSUM_BYTES
    }

    /// The form of what was so long and is this block now; in one allocation.
    #[cfg(feature = "compression")]
    pub(crate) fn encode(length: usize, block: &[u8]) -> Bytes {
        let length = length as u64;
        let mut out = begun(KIND_COMPRESSED, number_len(length) + block.len());
        put_number(&mut out, length);
        out.put_slice(block);
        ended(out)
    }
}

impl Reader {
    /// What follows the kind of a compressed one, to its end.
    pub(super) fn compressed(&mut self) -> Result<Compressed, RecordError> {
        let length = self.number()?;
        let block = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        // A lying length must not reserve memory.
        if length > (block.len() as u64).saturating_mul(MOST_PER_BYTE) {
            return Err(RecordError::Malformed);
        }
        let length = usize::try_from(length).map_err(|_| RecordError::Malformed)?;
        Ok(Compressed { length, block })
    }
}
