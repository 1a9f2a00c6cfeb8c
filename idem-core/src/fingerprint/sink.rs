//! Where encoded bytes go: into one buffer, and from there into the hasher of what grows too long.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use super::scratch::{is_kept, shrink};
use super::shape::Shape;
use super::tag;

/// The longest encoding of a part that is kept as it is; a longer one is replaced by its digest.
/// Part of the canonical form.
pub(super) const INLINE_LIMIT: usize = 4096;

/// From this size on, copying costs more than another call of the hasher.
const DIRECT: usize = 512;

/// The first size of the buffer: a part and as much again.
const FIRST_SIZE: usize = 2 * INLINE_LIMIT;

/// Values up to this size are moved by a copy of this size, which is no call.
const CHUNK: usize = 16;

/// How much further on the values of a map are written than where they belong.
const GAP: usize = 256;

/// The bytes of a value.
///
/// A *part* (the whole; a key or a value of a map) is either kept or replaced by its digest. Only
/// the innermost open part is ever written to, and its bytes are the end of the one shared
/// buffer: a stack is all it takes.
#[derive(Default)]
pub(super) struct Sink {
    /// All of it is initialized, so that pieces of a fixed length can be written over its end
    /// and cut.
    bytes: Vec<u8>,
    /// How much of it is written.
    len: usize,
    /// Where the innermost open part begins: the last of the ends.
    start: usize,
    /// Where the whole begins; and for each open map, where its first value begins and where
    /// each of them has ended. How many there are tells the innermost open part from those around
    /// it.
    ends: Vec<usize>,
    /// The number of ends of the innermost part that has a hasher.
    hashed: usize,
    /// The hashers of parts that grew too long to be kept, and their number of ends.
    spilled: Vec<(usize, Sha256)>,
}

impl Sink {
    #[inline]
    pub(super) fn reset(&mut self) {
        // Not cleared: what is initialized stays so.
        if !is_kept(&self.bytes) {
            self.bytes = Vec::new();
        }
        shrink(&mut self.ends);
        shrink(&mut self.spilled);
        self.len = 0;
        self.start = 0;
        self.hashed = 0;
    }

    /// What has been written to the innermost open part, and is not hashed.
    #[inline]
    pub(super) fn part(&self) -> &[u8] {
        &self.bytes[self.start..self.len]
    }

    /// Takes it back.
    #[inline]
    pub(super) fn clear_part(&mut self) {
        self.len = self.start;
    }

    /// All that has been written.
    pub(super) fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    pub(super) fn put_byte(&mut self, byte: u8) {
        if self.len >= self.bytes.len() {
            self.make_room(1);
        }
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// Writes the first so many of some bytes: a copy of fixed length is no call.
    #[inline]
    pub(super) fn put_cut<const N: usize>(&mut self, (bytes, len): (&[u8; N], usize)) {
        if self.len + N > self.bytes.len() {
            self.make_room(N);
        }
        self.bytes[self.len..self.len + N].copy_from_slice(bytes);
        self.len += len;
    }

    #[inline]
    pub(super) fn put_integer(&mut self, sign: u8, magnitude: u64) {
        let (encoded, len) = tag::integer(sign, magnitude);
        self.put_cut((&encoded, len));
    }

    pub(super) fn put_str(&mut self, text: &[u8]) {
        let end = self.len + 1 + text.len();
        if text.len() < tag::SHORT_LIMIT && end <= self.bytes.len() {
            self.bytes[self.len] = tag::SHORT_STR + text.len() as u8;
            copy_short(&mut self.bytes[self.len + 1..end], text);
            self.len = end;
        } else {
            self.put_long(tag::str_prefix(text.len()), text);
        }
    }

    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_long(tag::prefix(tag::BYTES, bytes.len()), bytes);
    }

    /// Bytes that are many, or for which there is no room.
    fn put_long(&mut self, (prefix, len): ([u8; tag::PREFIX], usize), bytes: &[u8]) {
        self.put_cut((&prefix, len));
        if bytes.len() >= DIRECT && self.pending() + bytes.len() > INLINE_LIMIT {
            self.flush();
            if let Some((_, hasher)) = self.spilled.last_mut() {
                hasher.update(bytes);
            }
            return;
        }
        if self.len + bytes.len() > self.bytes.len() {
            self.make_room(bytes.len());
        }
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// Writes a string whose length is known only at its end.
    pub(super) fn put_display<T: fmt::Display + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.put_display_with(&|text| write!(text, "{value}"))
    }

    fn put_display_with(&mut self, write: &dyn Fn(&mut Text<'_>) -> fmt::Result) -> fmt::Result {
        // Most are short, and then the text is where it belongs.
        self.put_byte(tag::SHORT_STR);
        let start = self.len;
        write(&mut Text(self))?;
        let end = self.len;
        let (prefix, len) = tag::str_prefix(end - start);
        if len > 1 {
            self.grow(len - 1);
            self.bytes.copy_within(start..end, start + len - 1);
            self.len += len - 1;
        }
        self.bytes[start - 1..start - 1 + len].copy_from_slice(&prefix[..len]);
        self.settle();
        Ok(())
    }

    /// Opens a map. The number is what it is called from then on.
    ///
    /// Its values are written a little further on than where they belong, and go there when the
    /// map is closed: that is one move, and nearly every map needs one.
    #[inline]
    pub(super) fn open_map(&mut self) -> u32 {
        let begin = self.len + 1 + GAP;
        if begin > self.bytes.len() {
            self.make_room(1 + GAP);
            return self.open_map();
        }
        self.bytes[self.len] = tag::MAP;
        self.len = begin;
        self.next_part();
        self.ends.len() as u32 - 1
    }

    /// Closes a part, and opens the next one after it, or the whole.
    #[inline]
    pub(super) fn next_part(&mut self) {
        self.start = self.len;
        self.ends.push(self.len);
    }

    /// Does the same if that is easy: the part is neither a null, nor so long that it is replaced
    /// by its digest, and there is memory.
    #[inline]
    pub(super) fn next_part_if_easy(&mut self) -> bool {
        let len = self.pending();
        let is_easy = len <= INLINE_LIMIT
            && self.hashed != self.ends.len()
            && !(len == 1 && self.bytes.get(self.start) == Some(&tag::NULL))
            && self.ends.len() < self.ends.capacity();
        if is_easy {
            self.next_part();
        }
        is_easy
    }

    /// How many parts of the map are closed.
    #[inline]
    pub(super) fn parts(&self, map: u32) -> usize {
        self.ends.len() - 1 - map as usize
    }

    /// Makes the part its own encoding, or the digest of it.
    #[inline]
    pub(super) fn complete_part(&mut self) {
        if self.pending() > INLINE_LIMIT || self.hashed == self.ends.len() {
            self.digest();
        }
    }

    /// Hashes what is pending if that is too much to be kept.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.pending() > INLINE_LIMIT {
            self.flush();
        }
    }

    /// Closes a map. Its values now belong to the part around it, in an order that says for each
    /// place which of them stands there; without one they stay in the order they came in. What is
    /// too much to be kept is hashed on this occasion.
    pub(super) fn close_map(&mut self, map: u32, order: &[u32]) {
        let map = map as usize;
        let (from, end) = (self.ends[map], self.len);
        let to = from - GAP;
        if to - self.ends[map - 1] + (end - from) > INLINE_LIMIT {
            self.hash_in_order(map, order);
        } else {
            let mut source = from;
            if !order.is_sorted() {
                self.grow(end - from);
                let ends = &self.ends[map..];
                for &index in order {
                    let (start, end) = (ends[index as usize], ends[index as usize + 1]);
                    self.bytes.copy_within(start..end, self.len);
                    self.len += end - start;
                }
                source = end;
            }
            self.bytes.copy_within(source..source + (end - from), to);
            self.len = end - GAP;
        }
        self.forget_ends(map);
    }

    /// Does the same if that is easy: there is an order, the gap takes the values, and the end of
    /// the buffer is not near.
    #[inline]
    pub(super) fn close_map_if_easy(&mut self, map: u32, order: &[u32]) -> bool {
        let map = map as usize;
        let ends = &self.ends[map..];
        let from = ends[0];
        let len = self.len - from;
        let Some((before, after)) = self.bytes.split_at_mut_checked(from) else {
            return false;
        };
        let (Some(gap), Some(values)) = (before.last_chunk_mut(), after.first_chunk()) else {
            return false;
        };
        let is_easy = len <= GAP - CHUNK && move_values(values, ends, order, gap);
        if is_easy {
            self.len = from - GAP + len;
            self.forget_ends(map);
        }
        is_easy
    }

    #[inline]
    fn forget_ends(&mut self, map: usize) {
        self.ends.truncate(map);
        self.start = self.ends[map - 1];
    }

    /// Says what the keys of the map are that was just closed.
    #[inline]
    pub(super) fn put_shape(&mut self, shape: &Shape, is_same: bool) {
        if is_same {
            // There is room: the values were further on.
            self.bytes[self.len] = tag::KEYS_AS_BEFORE;
            self.len += 1;
        } else {
            self.put_cut(shape.encoded());
        }
    }

    /// Hashes values that are hashed anyway where they lie.
    #[cold]
    fn hash_in_order(&mut self, map: usize, order: &[u32]) {
        self.spill(map);
        let ends = &self.ends[map..];
        let (around, from) = (self.ends[map - 1], ends[0]);
        if let Some((_, hasher)) = self.spilled.last_mut() {
            hasher.update(&self.bytes[around..from - GAP]);
            if order.is_empty() {
                hasher.update(&self.bytes[from..self.len]);
            }
            for &index in order {
                let index = index as usize;
                hasher.update(&self.bytes[ends[index]..ends[index + 1]]);
            }
        }
        self.len = around;
    }

    #[cold]
    fn digest(&mut self) {
        self.flush();
        if let Some((_, hasher)) = self.spilled.pop() {
            self.hashed = self.spilled.last().map_or(0, |&(ends, _)| ends);
            self.put_cut((&tag::digest(hasher.finalize()), 33));
        }
    }

    #[inline]
    fn pending(&self) -> usize {
        self.len - self.start
    }

    /// Makes room for so many bytes, by hashing what is pending if it is too much to be kept.
    #[cold]
    fn make_room(&mut self, more: usize) {
        self.settle();
        self.grow(more);
    }

    #[inline]
    fn grow(&mut self, more: usize) {
        if self.len + more > self.bytes.len() {
            self.grow_to(self.len + more);
        }
    }

    #[cold]
    fn grow_to(&mut self, size: usize) {
        let size = size.max(2 * self.bytes.len()).max(FIRST_SIZE);
        self.bytes.resize(size, 0);
    }

    /// Moves what is pending into the hasher of the part.
    #[cold]
    fn flush(&mut self) {
        self.spill(self.ends.len());
        let start = self.start;
        if let Some((_, hasher)) = self.spilled.last_mut() {
            hasher.update(&self.bytes[start..self.len]);
        }
        self.len = start;
    }

    /// Gives the part with so many ends before it a hasher, if it has none. It is over the limit
    /// when this happens.
    fn spill(&mut self, ends: usize) {
        if self.hashed != ends {
            self.hashed = ends;
            self.spilled.push((ends, Sha256::new()));
        }
    }
}

/// Copies values, which lie between those ends, in that order; and with each of them what makes it
/// whole chunks, which are no calls.
#[inline]
fn move_values(values: &[u8; GAP], ends: &[usize], order: &[u32], gap: &mut [u8; GAP]) -> bool {
    let first = ends[0];
    let (Some(starts), Some(ends)) = (ends.get(..order.len()), ends.get(1..=order.len())) else {
        return false;
    };
    let mut to = 0;
    for &index in order {
        let (start, end) = (starts[index as usize], ends[index as usize]);
        let next = to + (end - start);
        let mut from = start - first;
        while to < next {
            let (Some(source), Some(target)) =
                (values.get(from..from + CHUNK), gap.get_mut(to..to + CHUNK))
            else {
                return false;
            };
            target.copy_from_slice(source);
            from += CHUNK;
            to += CHUNK;
        }
        to = next;
    }
    true
}

/// Copies a short text without a call: its first and its last bytes, which may be the same ones.
#[inline]
fn copy_short(to: &mut [u8], from: &[u8]) {
    fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
        let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
            return false;
        };
        if from.len() > 2 * N {
            return false;
        }
        if let Some(to) = to.first_chunk_mut::<N>() {
            *to = *first;
        }
        if let Some(to) = to.last_chunk_mut::<N>() {
            *to = *last;
        }
        true
    }
    if !ends::<16>(to, from) && !ends::<8>(to, from) && !ends::<4>(to, from) {
        to.copy_from_slice(from);
    }
}

/// `fmt::Write` into a sink, where nothing is hashed meanwhile.
struct Text<'s>(&'s mut Sink);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Self(sink) = self;
        sink.grow(text.len());
        let end = sink.len + text.len();
        sink.bytes[sink.len..end].copy_from_slice(text.as_bytes());
        sink.len = end;
        Ok(())
    }
}
