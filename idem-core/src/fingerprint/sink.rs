//! Where encoded bytes go: into the hasher, or into the entry of the innermost open map.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use super::scratch::{Entry, Scratch};
use super::tag;

/// The longest encoding of a key or value that is kept as it is; a longer one is replaced by its
/// digest. Part of the canonical form.
pub(super) const INLINE_LIMIT: usize = 4096;

/// From this size on, copying costs more than another call of the hasher.
const DIRECT: usize = 512;

/// A tree of bytes that flattens into one hasher.
///
/// Entries of a map have to be ordered before they can be hashed, so they wait in a buffer. Only
/// the innermost open *part* (a key or a value; outermost, the whole) is ever written to, and its
/// bytes are the end of the one shared buffer: a stack is all it takes.
pub(super) struct Sink<'h> {
    root: &'h mut Sha256,
    scratch: Scratch,
    part: Part,
}

/// The part that is being written: `scratch.bytes[start..]`, after what its hasher already has.
#[derive(Clone, Copy)]
pub(super) struct Part {
    start: usize,
    /// Whether it has a hasher: the top one of `scratch.spilled`, or the root's.
    hashed: bool,
}

/// A map whose entries are being collected.
#[derive(Clone, Copy)]
pub(super) struct OpenMap {
    first_entry: usize,
    start: usize,
}

impl<'h> Sink<'h> {
    pub(super) fn new(root: &'h mut Sha256) -> Self {
        let part = Part {
            start: 0,
            hashed: true,
        };
        Self {
            root,
            scratch: Scratch::take(),
            part,
        }
    }

    /// Hashes what is left and gives the memory back.
    pub(super) fn close(mut self) {
        self.flush();
        self.scratch.put_back();
    }

    /// Gives the memory back; the hasher is left with half a value.
    pub(super) fn abandon(self) {
        self.scratch.put_back();
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.pending() + bytes.len() <= INLINE_LIMIT {
            self.scratch.bytes.extend_from_slice(bytes);
        } else {
            self.put_over_the_limit(bytes);
        }
    }

    #[inline]
    pub(super) fn put_prefixed(&mut self, tag: u8, content: &[u8]) {
        if self.pending() + tag::PREFIX + content.len() <= INLINE_LIMIT {
            self.append_prefixed(tag, content);
        } else {
            self.put(&tag::prefix(tag, content.len()));
            self.put(content);
        }
    }

    #[inline]
    pub(super) fn put_integer(&mut self, sign: u8, magnitude: u64) {
        let len = (u64::BITS - magnitude.leading_zeros()).div_ceil(8) as u8;
        let magnitude = magnitude.to_le_bytes();
        if self.pending() + 10 <= INLINE_LIMIT {
            // All eight bytes and then cut: a copy of fixed length is one instruction.
            let bytes = &mut self.scratch.bytes;
            let end = bytes.len() + 2 + usize::from(len);
            bytes.extend_from_slice(&[sign, len]);
            bytes.extend_from_slice(&magnitude);
            bytes.truncate(end);
        } else {
            self.put(&[sign, len]);
            self.put(&magnitude[..usize::from(len)]);
        }
    }

    /// Without the look at the limit.
    #[inline]
    fn append_prefixed(&mut self, tag: u8, content: &[u8]) {
        let bytes = &mut self.scratch.bytes;
        bytes.reserve(tag::PREFIX + content.len());
        bytes.push(tag);
        bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
        bytes.extend_from_slice(content);
    }

    /// Writes the name of a field as a key. `false`: it is too long for that to be more than the
    /// name, and needs a part like any other key.
    #[inline]
    pub(super) fn put_field_name(&mut self, name: &str) -> bool {
        let fits = tag::PREFIX + name.len() <= INLINE_LIMIT;
        if fits {
            self.append_prefixed(tag::STR, name.as_bytes());
        }
        fits
    }

    /// Writes a string whose length is known only at its end.
    pub(super) fn put_display<T: fmt::Display + ?Sized>(&mut self, value: &T) -> fmt::Result {
        let bytes = &mut self.scratch.bytes;
        let start = bytes.len();
        bytes.extend_from_slice(&tag::prefix(tag::STR, 0));
        let content = bytes.len();
        write!(Utf8(bytes), "{value}")?;
        let prefix = tag::prefix(tag::STR, bytes.len() - content);
        bytes[start..content].copy_from_slice(&prefix);
        if self.pending() > INLINE_LIMIT {
            self.flush();
        }
        Ok(())
    }

    /// Opens a part of an entry; the enclosing part is to be handed to [`Self::close_part`].
    #[inline]
    pub(super) fn open_part(&mut self) -> Part {
        let part = Part {
            start: self.scratch.bytes.len(),
            hashed: false,
        };
        std::mem::replace(&mut self.part, part)
    }

    /// Closes a part: what lies in the buffer from its start on is now its encoding.
    #[inline]
    pub(super) fn close_part(&mut self, enclosing: Part) {
        if self.part.hashed {
            self.digest();
        }
        self.part = enclosing;
    }

    #[inline]
    pub(super) fn open_map(&mut self) -> OpenMap {
        self.put(&[tag::MAP]);
        OpenMap {
            first_entry: self.scratch.entries.len(),
            start: self.scratch.bytes.len(),
        }
    }

    /// Where the next part will start.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.scratch.bytes.len()
    }

    /// Takes the key and the value just written as an entry of the innermost map.
    #[inline]
    pub(super) fn add_entry(&mut self, start: usize, key_end: usize) {
        let bytes = &mut self.scratch.bytes;
        if bytes[key_end..] == [tag::NULL] {
            bytes.truncate(start);
        } else {
            let end = bytes.len();
            self.scratch.entries.push(Entry {
                head: 0,
                start,
                key_end,
                end,
            });
        }
    }

    /// Hands the entries of the innermost map, ordered, to the part that the map belongs to.
    pub(super) fn close_map(&mut self, map: OpenMap) {
        let Scratch { bytes, entries, .. } = &mut self.scratch;
        let collected = &mut entries[map.first_entry..];
        for entry in &mut *collected {
            entry.head = head(&bytes[entry.start..], entry.key_end - entry.start);
        }
        let in_order = collected.is_sorted_by(|a, b| compare_keys(bytes, a, b).is_le());
        if !in_order {
            // Starts grow with the order of arrival: equal keys keep it, without the memory that
            // a stable sort takes.
            collected
                .sort_unstable_by(|a, b| compare_keys(bytes, a, b).then(a.start.cmp(&b.start)));
            self.rearrange(map);
        }
        self.scratch.entries.truncate(map.first_entry);
        // This also notices when the map has taken the part over the limit.
        self.put(&[tag::END]);
    }

    /// Brings the bytes of a map into the order of its entries.
    fn rearrange(&mut self, map: OpenMap) {
        if self.pending() > INLINE_LIMIT {
            return self.hash_in_order(map);
        }
        let Scratch { bytes, entries, .. } = &mut self.scratch;
        let end = bytes.len();
        for entry in &entries[map.first_entry..] {
            bytes.extend_from_within(entry.start..entry.end);
        }
        bytes.copy_within(end.., map.start);
        bytes.truncate(end);
    }

    /// The same for a map that is hashed at once anyway: then nothing has to be moved.
    fn hash_in_order(&mut self, map: OpenMap) {
        let start = self.part.start;
        let (hasher, bytes, entries) = self.hasher();
        hasher.update(&bytes[start..map.start]);
        for entry in &entries[map.first_entry..] {
            hasher.update(&bytes[entry.start..entry.end]);
        }
        bytes.truncate(start);
    }

    #[cold]
    fn digest(&mut self) {
        self.flush();
        if let Some(hasher) = self.scratch.spilled.pop() {
            self.scratch.bytes.push(tag::DIGEST);
            self.scratch.bytes.extend_from_slice(&hasher.finalize());
        }
    }

    #[inline]
    fn pending(&self) -> usize {
        self.scratch.bytes.len() - self.part.start
    }

    #[cold]
    fn put_over_the_limit(&mut self, bytes: &[u8]) {
        self.flush();
        if bytes.len() < DIRECT {
            self.scratch.bytes.extend_from_slice(bytes);
        } else {
            self.hasher().0.update(bytes);
        }
    }

    /// Moves what is pending into the hasher of the part. A part without one is over the limit
    /// when this happens, and that is what gives it one.
    fn flush(&mut self) {
        let start = self.part.start;
        let (hasher, bytes, _) = self.hasher();
        hasher.update(&bytes[start..]);
        bytes.truncate(start);
    }

    /// The hasher of the part that is being written, and the buffers to feed it from.
    fn hasher(&mut self) -> (&mut Sha256, &mut Vec<u8>, &[Entry]) {
        let Scratch {
            bytes,
            entries,
            spilled,
        } = &mut self.scratch;
        if !self.part.hashed {
            spilled.push(Sha256::new());
            self.part.hashed = true;
        }
        // Inner parts are closed before an outer one is written to, so the top is this part's;
        // with none left, this part is the whole.
        let hasher = spilled.last_mut().unwrap_or(self.root);
        (hasher, bytes, entries)
    }
}

fn compare_keys(bytes: &[u8], a: &Entry, b: &Entry) -> Ordering {
    a.head
        .cmp(&b.head)
        .then_with(|| key(bytes, a).cmp(key(bytes, b)))
}

fn key<'b>(bytes: &'b [u8], entry: &Entry) -> &'b [u8] {
    &bytes[entry.start..entry.key_end]
}

/// The first sixteen bytes of a key, which lies at the start of `entry`, as one number that
/// orders like them. An encoding is never the beginning of another one, so where a shorter key is
/// filled up with zeros makes no difference to the order.
#[inline]
fn head(entry: &[u8], key_len: usize) -> u128 {
    let Some(first) = entry.first_chunk::<16>() else {
        let mut padded = [0; 16];
        padded[..key_len].copy_from_slice(&entry[..key_len]);
        return u128::from_be_bytes(padded);
    };
    let first = u128::from_be_bytes(*first);
    match u128::MAX.checked_shr(8 * key_len as u32) {
        Some(beyond) => first & !beyond,
        None => first,
    }
}

/// `fmt::Write` into bytes.
struct Utf8<'b>(&'b mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
