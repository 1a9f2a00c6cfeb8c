//! The keys of open maps, and their order.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

use super::scratch::shrink;
use super::shape::{Shape, Shapes};
use super::sink::INLINE_LIMIT;
use super::tag;

/// A stack that all open maps of one value share.
#[derive(Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    entries: Vec<Key>,
    /// What [`Self::order`] says.
    order: Vec<u32>,
    shapes: Shapes,
}

/// One encoded key.
#[derive(Clone, Copy)]
struct Key {
    /// Its first bytes as a number: most comparisons need no more.
    head: u128,
    start: usize,
    end: usize,
    /// How many keys of its map came before.
    index: u32,
}

impl Keys {
    /// Where the keys of a map will begin that is opened now.
    #[inline]
    pub(super) fn mark(&self) -> usize {
        self.entries.len()
    }

    /// One more key, before which so many of its map came.
    #[inline]
    pub(super) fn push(&mut self, encoded: &[u8], index: usize) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(encoded);
        self.entries.push(Key {
            head: head(encoded),
            start,
            end: self.bytes.len(),
            index: index as u32,
        });
    }

    /// The name of a field as a key.
    pub(super) fn push_name(&mut self, name: &str, index: usize) {
        let (prefix, len) = tag::str_prefix(name.len());
        let mut encoded = [&prefix[..len], name.as_bytes()].concat();
        if encoded.len() > INLINE_LIMIT {
            encoded = tag::digest(Sha256::digest(encoded)).to_vec();
        }
        self.push(&encoded, index);
    }

    /// Forgets the last key.
    pub(super) fn pop(&mut self) {
        if let Some(last) = self.entries.pop() {
            self.bytes.truncate(last.start);
        }
    }

    /// Forgets the keys since the mark.
    pub(super) fn truncate(&mut self, mark: usize) {
        let end = mark.checked_sub(1).map_or(0, |last| self.entries[last].end);
        self.bytes.truncate(end);
        self.entries.truncate(mark);
    }

    /// Brings the keys since the mark into canonical order, and says for each place which of
    /// them, as they came, stands there now; nothing if they came in this order.
    pub(super) fn order(&mut self, mark: usize) -> &[u32] {
        let Self {
            bytes,
            entries,
            order,
            ..
        } = self;
        let keys = &mut entries[mark..];
        order.clear();
        if !keys.is_sorted_by(|a, b| compare(bytes, a, b).is_le()) {
            // Equal keys keep the order in which they came, without the memory that a stable
            // sort takes.
            keys.sort_unstable_by(|a, b| compare(bytes, a, b).then(a.index.cmp(&b.index)));
            order.extend(keys.iter().map(|key| key.index));
        }
        order
    }

    /// What the keys since the mark come to, which are in order.
    pub(super) fn shape(&mut self, mark: usize) -> Shape {
        let Self { bytes, entries, .. } = self;
        let keys = entries[mark..].iter().map(|key| encoded(bytes, key));
        self.shapes.get(keys)
    }

    pub(super) fn reset(&mut self) {
        shrink(&mut self.bytes);
        shrink(&mut self.entries);
        shrink(&mut self.order);
    }
}

fn compare(bytes: &[u8], a: &Key, b: &Key) -> Ordering {
    a.head
        .cmp(&b.head)
        .then_with(|| encoded(bytes, a).cmp(encoded(bytes, b)))
}

fn encoded<'b>(bytes: &'b [u8], key: &Key) -> &'b [u8] {
    &bytes[key.start..key.end]
}

/// The first sixteen bytes as one number that orders like them. An encoding is never the
/// beginning of another one, so where a shorter key is filled up with zeros makes no difference.
#[inline]
fn head(encoded: &[u8]) -> u128 {
    let mut padded = [0; 16];
    let len = encoded.len().min(16);
    padded[..len].copy_from_slice(&encoded[..len]);
    u128::from_be_bytes(padded)
}
