//! Making what is stored smaller, and what it was again.

use bytes::Bytes;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use crate::record::{Compressed, RecordError, is_compressed, is_sealed};

/// One part in so many is what compressing must save, or it is not worth expanding.
const LEAST_SAVING: usize = 8;

/// What is stored of answers, of jobs' and of steps' results is compressed, from a length
/// on. Off by default; it is said on the builder.
///
/// ```
/// use idem_core::{Compression, MemoryStore, Runtime};
///
/// let runtime = Runtime::builder(MemoryStore::new())
///     // From 16 KiB on; `Compression::default()` is from `DEFAULT_THRESHOLD` on.
///     .compress(Compression::from(16 << 10))
///     .build()?;
/// # Ok::<(), idem_core::PolicyError>(())
/// ```
///
/// What is as long as the threshold or longer, in bytes and in its plain form (a record is
/// status, headers and body), is compressed by LZ4, and stored so if that saves an eighth
/// of it or more; else it is stored plain. It is done before the record is sealed, if
/// there is a keyring, and on the thread that runs the call.
///
/// # Who reads it
///
/// Every runtime of a build with the feature `compression`, whether it compresses or not: it
/// may be switched on and off, and its threshold changed, at any time. A build without the
/// feature answers a call that meets something compressed with
/// [`StoreError::Unopened`](crate::StoreError::Unopened), whose reason is
/// [`Unopened::Compressed`](crate::record::Unopened::Compressed), and **does not run it
/// again**. So does every runtime with what does not expand: it is damaged, or was never
/// compressed by idem. So give every node the feature before one of them compresses.
///
/// A length that is not true reserves nothing: what a record says it was is compared with
/// what its bytes can be expanded to at the most, 255 times themselves, before memory is
/// taken for it.
///
/// # What is counted
///
/// - In the plain form: the largest answer that is recorded, what
///   [`Limits::stored_bytes`](crate::Limits::stored_bytes) counts of a record and of the
///   steps of the execution at hand, and
///   [`MAX_STEPS_BYTES`](crate::MAX_STEPS_BYTES). Who compresses need not raise them, and
///   whose answers are repetitive may store no more than others.
/// - As it is stored: a [`MemoryStore`](crate::MemoryStore)'s bytes, those of a
///   [`ReplayCache`](crate::ReplayCache), which keeps what is compressed compressed, and what
///   `stored_bytes` counts of steps that an earlier attempt has left.
///
/// # When not to
///
/// **The length of what is compressed tells how repetitive it is**, and encryption does not
/// hide lengths. Where an answer has a secret *and* a text that somebody else chooses, and
/// that somebody can see how long it is in the store (or in its backups, its metrics or on
/// its network), they can guess the secret part by part: the guess that is right makes the
/// answer shorter. That is CRIME and BREACH. Do not compress such answers; each key makes one
/// guess, so it takes somebody who may send many.
///
/// Nor does it pay where records are small, or are compressed already (images, what
/// another has zipped), or where nothing but the processor is short: see
/// `docs/performance.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Compression {
    threshold: usize,
}

impl Compression {
    /// From how many bytes on [`Compression::default`] compresses: 4 KiB, from where on it
    /// paid over Redis and PostgreSQL on one machine (`docs/performance.md`).
    pub const DEFAULT_THRESHOLD: usize = 4 << 10;

    /// From how many bytes on it compresses.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// The compressed form, or `plain` itself where that is as good.
    pub(crate) fn compress(self, plain: Bytes) -> Bytes {
        // Of what looks like one already, its reader could not tell that it is the plain one.
        if plain.len() < self.threshold || is_compressed(&plain) || is_sealed(&plain) {
            return plain;
        }
        let mut block = vec![0; get_maximum_output_size(plain.len())];
        let compressed = compress_into(&plain, &mut block);
        let Some(block) = compressed.ok().and_then(|length| block.get(..length)) else {
            // It says so where there is no room for the block, and there is.
            return plain;
        };
        let most = plain.len() - plain.len().div_ceil(LEAST_SAVING);
        match Compressed::encoded_len(plain.len(), block.len()) <= most {
            true => Compressed::encode(plain.len(), block),
            false => plain,
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::from(Self::DEFAULT_THRESHOLD)
    }
}

/// From this many bytes on.
impl From<usize> for Compression {
    fn from(threshold: usize) -> Self {
        Self { threshold }
    }
}

/// What was compressed.
pub(crate) fn expand(stored: &Bytes) -> Result<Bytes, RecordError> {
    let Compressed { length, block } = Compressed::decode(stored)?;
    let mut plain = vec![0; length];
    match decompress_into(&block, &mut plain) {
        Ok(expanded) if expanded == length && !is_compressed(&plain) && !is_sealed(&plain) => {
            Ok(plain.into())
        }
        _ => Err(RecordError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Record, RecordedBody};

    const ALWAYS: Compression = Compression { threshold: 0 };

    /// Forty times an `a`, by hand: one that is written out and 34 that repeat it, then the
    /// five at the end that a block must write out.
    const PLAIN: [u8; 40] = [b'a'; 40];
    const BLOCK: [u8; 11] = *b"\x1fa\x01\x00\x0f\x50aaaaa";

    fn repetitive(bytes: usize) -> Bytes {
        let body = "{\"state\":\"paid\",\"cents\":1250},".repeat(bytes.div_ceil(30));
        let record = Record::Response {
            status: 200,
            headers: vec![(Bytes::from("content-type"), Bytes::from("application/json"))],
            body: RecordedBody::Full(body.into()),
        };
        record.encode()
    }

    /// Nothing in it occurs twice that is long enough to be named.
    fn incompressible(bytes: usize) -> Bytes {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    fn compressed(plain: &Bytes) -> Bytes {
        let compressed = ALWAYS.compress(plain.clone());
        assert!(is_compressed(&compressed));
        compressed
    }

    /// The checksum is no secret: whoever alters a record makes a new one.
    fn with_its_checksum(mut bytes: Vec<u8>) -> Bytes {
        bytes.truncate(bytes.len() - 4);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.into()
    }

    /// One that says that `block` was so long.
    fn claiming(length: &[u8], block: &[u8]) -> Bytes {
        with_its_checksum([b"idem\x01\x04", length, block, &[0; 4]].concat())
    }

    /// Golden: what this version has compressed, every later one expands.
    #[test]
    fn the_form_does_not_change() {
        let form = Compressed::encode(PLAIN.len(), &BLOCK);
        let digits: String = form.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, "6964656d0104281f6101000f50616161616113798500");
        assert_eq!(
            form.len(),
            Compressed::encoded_len(PLAIN.len(), BLOCK.len())
        );
        assert_eq!(expand(&form).unwrap(), PLAIN.as_slice());
    }

    #[test]
    fn what_is_short_or_would_not_be_much_smaller_stays_plain() {
        let plain = repetitive(4000);
        let length = plain.len();
        assert_eq!(Compression::from(length + 1).compress(plain.clone()), plain);
        let compressed = Compression::from(length).compress(plain.clone());
        assert!(compressed.len() < length / 8, "{}", compressed.len());

        for bytes in [0, 1, 20, 300, 1 << 20] {
            let plain = incompressible(bytes);
            assert_eq!(ALWAYS.compress(plain.clone()), plain, "{bytes}");
        }
        // A part of it is repeated: 1000 of so many bytes can be saved, about.
        for (others, is_compressed_) in [(8000, false), (5000, true)] {
            let plain: Bytes = [incompressible(others), repetitive(1000)].concat().into();
            let stored = ALWAYS.compress(plain.clone());
            assert_eq!(is_compressed(&stored), is_compressed_, "{others}");
        }
    }

    #[test]
    fn the_stored_form_takes_no_more_memory_than_it_needs() {
        let stored = compressed(&repetitive(10_000));
        let length = stored.len();
        let vec = Vec::from(stored);
        assert_eq!(vec.capacity(), length);
    }

    #[test]
    fn every_truncation_is_an_error_also_with_a_right_checksum() {
        let stored = compressed(&repetitive(500));
        for length in 0..stored.len() {
            assert!(expand(&stored.slice(..length)).is_err(), "{length}");
        }
        for length in 10..stored.len() {
            let cut = with_its_checksum(stored[..length].to_vec());
            assert!(expand(&cut).is_err(), "{length}");
        }
        let longer = with_its_checksum([&stored, &[0; 1][..]].concat());
        assert!(expand(&longer).is_err());
    }

    #[test]
    fn every_flipped_bit_is_an_error() {
        let stored = compressed(&repetitive(500));
        for bit in 0..stored.len() * 8 {
            let mut broken = stored.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(expand(&broken.into()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_lying_length_is_an_error_and_reserves_nothing() {
        let malformed = Err(RecordError::Malformed);
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let gigabyte = [0x80, 0x80, 0x80, 0x80, 0x04];
        // One more than 255 times the block.
        let more = [0xf6, 0x15];
        for length in [&huge[..], &gigabyte, &more] {
            let stored = claiming(length, &BLOCK);
            // The first one that shares bytes reserves what they are shared by.
            let _shared = stored.clone();
            let mut expanded = Ok(Bytes::new());
            let reserved = allocation_counter::measure(|| expanded = expand(&stored));
            assert_eq!(expanded, malformed);
            assert_eq!(reserved.bytes_total, 0, "{length:?}");
        }
        // What it could be, and is not.
        for length in [[0xf5, 0x15], [0x29, 0], [0x27, 0], [0, 0]] {
            let length = &length[..if length[1] == 0 { 1 } else { 2 }];
            assert_eq!(expand(&claiming(length, &BLOCK)), malformed, "{length:?}");
        }
        assert_eq!(expand(&claiming(&[40], &BLOCK)).unwrap(), PLAIN.as_slice());
        assert_eq!(expand(&claiming(&[40], b"")), malformed);
        assert_eq!(expand(&claiming(&[0], b"")), malformed);
        assert_eq!(expand(&claiming(&[], b"")), Err(RecordError::Truncated));
    }

    #[test]
    fn within_a_compressed_one_there_is_none_compressed_or_sealed() {
        for head in [b"idem\x01\x04", b"idem\x01\x03"] {
            let inner = Bytes::from([&head[..], &[7; 500]].concat());
            // So it is not made…
            assert_eq!(ALWAYS.compress(inner.clone()), inner);
            // …and not read.
            let block = lz4_flex::block::compress(&inner);
            let stored = Compressed::encode(inner.len(), &block);
            assert_eq!(expand(&stored), Err(RecordError::Malformed));
        }
    }

    #[test]
    fn it_is_no_record_before_it_is_expanded() {
        let stored = compressed(&repetitive(500));
        assert_eq!(Record::decode(&stored), Err(RecordError::Compressed));
        let cut = stored.slice(..stored.len() - 1);
        assert_eq!(Record::decode(&cut), Err(RecordError::BadChecksum));
        assert_eq!(
            Compressed::decode(&repetitive(1)).unwrap_err(),
            RecordError::UnknownKind { kind: 1 }
        );
    }

    fn any_plain() -> impl Strategy<Value = Bytes> {
        let piece = prop::collection::vec(any::<u8>(), 0..60);
        let pieces = prop::collection::vec((piece, 1..80_usize), 0..20);
        pieces.prop_map(|pieces| {
            let repeated = pieces.into_iter().map(|(piece, times)| piece.repeat(times));
            repeated.collect::<Vec<_>>().concat().into()
        })
    }

    proptest! {
        #[test]
        fn what_was_compressed_is_expanded_to_the_same(plain in any_plain()) {
            let stored = ALWAYS.compress(plain.clone());
            if is_compressed(&stored) {
                prop_assert!(stored.len() <= plain.len() - plain.len().div_ceil(8));
                prop_assert_eq!(expand(&stored), Ok(plain));
            } else {
                prop_assert_eq!(stored, plain);
            }
        }

        #[test]
        fn no_block_panics_even_with_a_right_checksum(
            length in 0..128_u8,
            block in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(plain) = expand(&claiming(&[length], &block)) {
                prop_assert_eq!(plain.len(), usize::from(length));
            }
        }

        #[test]
        fn damage_with_a_right_checksum_is_an_error_or_as_long_as_it_says(
            at in any::<prop::sample::Index>(),
            bit in 0..8_u32,
        ) {
            let plain = repetitive(500);
            let mut broken = compressed(&plain).to_vec();
            let at = at.index(broken.len());
            broken[at] ^= 1 << bit;
            if let Ok(read) = expand(&with_its_checksum(broken)) {
                prop_assert_eq!(read.len(), plain.len());
            }
        }
    }
}
