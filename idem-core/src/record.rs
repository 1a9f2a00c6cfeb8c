//! What a store keeps of a finished execution, and its binary form.
//!
//! ```text
//! "idem" | version: u8 | kind: u8 | … | crc32: u32 LE over all before it
//!
//! kind 1, response: status: u16 LE
//!                   headers: count, then per header name and value
//!                   body: 0, bytes  |  1, length + 1 or 0 when unknown
//! kind 2, value:    bytes
//!
//! kind 3, sealed:   key id, nonce (24 bytes), ciphertext with its tag
//!
//! kind 4, compressed: length before, block of LZ4
//! ```
//!
//! Counts and lengths are LEB128, bytes are prefixed with their length.
//! Decoding copies nothing: every part is a slice of the input.
//!
//! What is within a sealed one is for the runtime alone, which opens it before
//! anybody decodes it, see `idem_core::encryption` (feature `encryption`). So is what
//! is within a compressed one, see `idem_core::Compression` (feature `compression`): a
//! record or a step's result. A sealed one may hold a compressed one; there is
//! nothing sealed and nothing compressed within a compressed one.

mod compressed;
mod key_id;
mod place;
mod read;
mod sealed;
mod unopened;
mod write;

use bytes::{BufMut, Bytes, BytesMut};

#[cfg(feature = "encryption")]
pub(crate) use self::sealed::{NONCE_BYTES, TAG_BYTES};
pub(crate) use self::{
    compressed::{Compressed, is_compressed},
    place::{As, Place},
    sealed::{Sealed, is_sealed},
};
pub use self::{
    key_id::{KeyId, KeyIdError, MAX_KEY_ID_BYTES},
    unopened::{OpenError, Unopened},
};
use self::{
    read::Reader,
    write::{bytes_len, number_len, put_bytes, put_number},
};

const MAGIC: &[u8; 4] = b"idem";
const VERSION: u8 = 1;
const KIND_RESPONSE: u8 = 1;
const KIND_VALUE: u8 = 2;
const KIND_SEALED: u8 = 3;
const KIND_COMPRESSED: u8 = 4;
const BODY_FULL: u8 = 0;
const BODY_NOT_RETAINED: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// How each record of this kind begins.
const fn head(kind: u8) -> [u8; 6] {
    let [a, b, c, d] = *MAGIC;
    [a, b, c, d, VERSION, kind]
}

/// What is kept of a finished execution.
///
/// ```
/// use bytes::Bytes;
/// use idem_core::record::{Record, RecordedBody};
///
/// let record = Record::Response {
///     status: 201,
///     headers: vec![(Bytes::from("location"), Bytes::from("/payments/1"))],
///     body: RecordedBody::Full(Bytes::from("{}")),
/// };
/// assert_eq!(Record::decode(&record.encode())?, record);
/// # Ok::<(), idem_core::record::RecordError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The answer to a request.
    Response {
        /// The status code.
        status: u16,
        /// The recorded headers, in order; a name may occur more than once.
        headers: Vec<(Bytes, Bytes)>,
        /// The body, or that it was not kept.
        body: RecordedBody,
    },
    /// The serialized result of work outside HTTP.
    Value(Bytes),
}

/// The body of a recorded response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedBody {
    /// All of it.
    Full(Bytes),
    /// The body was too large or was streamed; a retry is told so.
    NotRetained {
        /// The body's length in bytes where it was known.
        length: Option<u64>,
    },
}

/// A [`RecordedBody`] that is somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRef<'a> {
    /// As [`RecordedBody::Full`].
    Full(&'a [u8]),
    /// As [`RecordedBody::NotRetained`].
    NotRetained {
        /// The body's length in bytes where it was known.
        length: Option<u64>,
    },
}

impl RecordedBody {
    fn as_ref(&self) -> BodyRef<'_> {
        match self {
            Self::Full(bytes) => BodyRef::Full(bytes),
            Self::NotRetained { length } => BodyRef::NotRetained { length: *length },
        }
    }
}

impl Record {
    /// The record's binary form, in one allocation.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Response {
                status,
                headers,
                body,
            } => {
                let each = |field: &mut dyn FnMut(&[u8], &[u8])| {
                    headers.iter().for_each(|(name, value)| field(name, value));
                };
                Self::encode_response(*status, each, body.as_ref())
            }
            Self::Value(bytes) => {
                let mut out = begun(KIND_VALUE, bytes_len(bytes));
                put_bytes(&mut out, bytes);
                ended(out)
            }
        }
    }

    /// The binary form of a [`Response`](Self::Response), in one allocation: its headers
    /// are measured and then written from where they are. `headers` hands each of them
    /// on, and the same ones when it is called again.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use idem_core::record::{BodyRef, Record, RecordedBody};
    ///
    /// let record = Record::Response {
    ///     status: 201,
    ///     headers: vec![(Bytes::from("location"), Bytes::from("/payments/1"))],
    ///     body: RecordedBody::Full(Bytes::from("{}")),
    /// };
    /// let headers =
    ///     |field: &mut dyn FnMut(&[u8], &[u8])| field(b"location", b"/payments/1");
    /// let body = BodyRef::Full(b"{}");
    /// assert_eq!(Record::encode_response(201, headers, body), record.encode());
    /// ```
    #[must_use]
    pub fn encode_response(
        status: u16,
        headers: impl Fn(&mut dyn FnMut(&[u8], &[u8])),
        body: BodyRef<'_>,
    ) -> Bytes {
        let (mut count, mut fields) = (0u64, 0);
        headers(&mut |name, value| {
            count += 1;
            fields += bytes_len(name) + bytes_len(value);
        });
        let body_len = match body {
            BodyRef::Full(bytes) => bytes_len(bytes),
            BodyRef::NotRetained { length } => number_len(told(length)),
        };
        // The status takes two bytes, and what the body is one.
        let mut out = begun(KIND_RESPONSE, 2 + number_len(count) + fields + 1 + body_len);
        out.put_u16_le(status);
        put_number(&mut out, count);
        headers(&mut |name, value| {
            put_bytes(&mut out, name);
            put_bytes(&mut out, value);
        });
        match body {
            BodyRef::Full(bytes) => {
                out.put_u8(BODY_FULL);
                put_bytes(&mut out, bytes);
            }
            BodyRef::NotRetained { length } => {
                out.put_u8(BODY_NOT_RETAINED);
                put_number(&mut out, told(length));
            }
        }
        ended(out)
    }

    /// Reads a record back. The parts share `bytes`.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are truncated, corrupt, or of a version
    /// this build does not know. Never panics, whatever the bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader::framed(bytes)?;
        let record = match reader.byte()? {
            KIND_RESPONSE => reader.response()?,
            KIND_VALUE => Self::Value(reader.bytes()?),
            KIND_SEALED => {
                let key = reader.sealed()?.key;
                return Err(RecordError::Sealed { key });
            }
            KIND_COMPRESSED => {
                reader.compressed()?;
                return Err(RecordError::Compressed);
            }
            kind => return Err(RecordError::UnknownKind { kind }),
        };
        reader.end()?;
        Ok(record)
    }
}

/// The head of a record of so many bytes between head and checksum. It has room for
/// exactly that: what is stored takes no more memory than it needs.
fn begun(kind: u8, content: usize) -> BytesMut {
    let head = head(kind);
    let mut out = BytesMut::with_capacity(head.len() + content + CHECKSUM_BYTES);
    out.put_slice(&head);
    out
}

fn ended(mut out: BytesMut) -> Bytes {
    let checksum = crc32fast::hash(&out);
    out.put_u32_le(checksum);
    debug_assert_eq!(
        out.len(),
        out.capacity(),
        "it was measured before it was written"
    );
    out.freeze()
}

/// A length that may be unknown, as a number.
fn told(length: Option<u64>) -> u64 {
    length.map_or(0, |length| length.saturating_add(1))
}

/// Why bytes from a store are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes end too early.
    #[error("the stored record is truncated")]
    Truncated,
    /// The bytes do not start as a record does.
    #[error("the stored bytes are not a record of idem; does something else write to this store?")]
    NotARecord,
    /// Written by another version of idem.
    #[error(
        "the stored record has version {version}, this build reads version {VERSION}; \
         let every node run a version that can read it before one writes it"
    )]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
    /// A kind of record this version does not know.
    #[error("the stored record is of the unknown kind {kind}")]
    UnknownKind {
        /// The kind found.
        kind: u8,
    },
    /// A response where a value was expected, or the other way round.
    #[error(
        "the stored record is of another kind than this operation writes; two operations share a name"
    )]
    WrongKind,
    /// It is sealed. A runtime with its key opens it before it is decoded.
    #[error("the stored record is sealed under the key \"{key}\", and was not opened")]
    Sealed {
        /// Which key.
        key: KeyId,
    },
    /// It is compressed. A runtime of a build with the feature `compression` expands it
    /// before it is decoded.
    #[error(
        "the stored record is compressed, and was not expanded; a runtime of a build with the feature `compression` \
         does that"
    )]
    Compressed,
    /// The checksum does not match.
    #[error("the stored record is corrupt: its checksum does not match")]
    BadChecksum,
    /// A number, length, body tag or block that cannot be.
    #[error("the stored record is malformed")]
    Malformed,
    /// Bytes are left over.
    #[error("the stored record has {surplus} bytes too many")]
    Surplus {
        /// How many.
        surplus: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Record {
        Record::Response {
            status: 201,
            headers: vec![
                (Bytes::from("location"), Bytes::from("/p/1")),
                (Bytes::from("x"), Bytes::from_static(&[0xff, 0])),
            ],
            body: RecordedBody::Full(Bytes::from("{\"id\":1}")),
        }
    }

    #[test]
    fn the_form_of_version_1_does_not_change() {
        let hex: String = sample()
            .encode()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "6964656d0101c900\
             02086c6f636174696f6e042f702f31017802ff00\
             00087b226964223a317d90ad59a4"
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(Record::decode(&bytes.slice(..length)).is_err(), "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_is_an_error() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&broken.into()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_unknown_version_says_which() {
        let mut bytes = sample().encode().to_vec();
        bytes[4] = 9;
        let error = Record::decode(&bytes.into()).unwrap_err();
        assert_eq!(error, RecordError::UnknownVersion { version: 9 });
        assert!(error.to_string().contains("version 9"));
    }

    #[test]
    fn other_peoples_bytes_are_called_that() {
        assert_eq!(
            Record::decode(&Bytes::from("hello world")),
            Err(RecordError::NotARecord)
        );
        assert_eq!(Record::decode(&Bytes::new()), Err(RecordError::Truncated));
    }

    fn sealed(content: &[u8]) -> Bytes {
        let mut bytes = b"idem\x01".to_vec();
        bytes.extend(content);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.into()
    }

    #[test]
    fn a_lying_count_or_length_is_an_error_and_reserves_nothing() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let counted = [&[KIND_RESPONSE, 200, 0][..], &huge].concat();
        assert_eq!(
            Record::decode(&sealed(&counted)),
            Err(RecordError::Truncated)
        );
        let value = [&[KIND_VALUE][..], &huge].concat();
        assert!(Record::decode(&sealed(&value)).is_err());
        // The tenth byte of a number has one bit to give.
        let mut wide = [&[KIND_VALUE][..], &huge].concat();
        *wide.last_mut().unwrap() = 2;
        assert_eq!(Record::decode(&sealed(&wide)), Err(RecordError::Malformed));
        let endless = [&[KIND_VALUE][..], &[0xff; 11]].concat();
        assert_eq!(
            Record::decode(&sealed(&endless)),
            Err(RecordError::Malformed)
        );
        assert_eq!(
            Record::decode(&sealed(&[KIND_VALUE, 0, 7])),
            Err(RecordError::Surplus { surplus: 1 })
        );
        assert_eq!(
            Record::decode(&sealed(&[7])),
            Err(RecordError::UnknownKind { kind: 7 })
        );
    }

    fn any_bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            status in any::<u16>(),
            headers in prop::collection::vec((any_bytes(), any_bytes()), 0..6),
            body in prop_oneof![
                any_bytes().prop_map(RecordedBody::Full),
                prop::option::of(0..u64::MAX - 1)
                    .prop_map(|length| RecordedBody::NotRetained { length }),
            ],
            value in any_bytes(),
        ) {
            let response = Record::Response { status, headers, body };
            prop_assert_eq!(Record::decode(&response.encode()), Ok(response));
            let value = Record::Value(value);
            prop_assert_eq!(Record::decode(&value.encode()), Ok(value));
        }

        #[test]
        fn no_bytes_panic_even_with_a_right_checksum(
            content in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = Record::decode(&sealed(&content));
            let _ = Record::decode(&Bytes::from(content));
        }
    }
}
