//! The memory that encoding a value needs, kept from one fingerprint to the next.

use std::cell::Cell;

use sha2::Sha256;

/// What a thread keeps of each buffer; a rare giant must not stay resident in every worker.
const KEEP_BYTES: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Scratch>> = const { Cell::new(None) };
}

/// Three stacks that all open maps of one value share.
#[derive(Default)]
pub(super) struct Scratch {
    /// Encoded bytes that have not reached a hasher yet.
    pub(super) bytes: Vec<u8>,
    /// Where the finished entries of open maps lie in `bytes`.
    pub(super) entries: Vec<Entry>,
    /// The hashers of entries that grew too large to be buffered.
    pub(super) spilled: Vec<Sha256>,
}

/// One finished entry: the key, and right after it the value.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The first bytes of the key as a number: most comparisons need no more.
    pub(super) head: u128,
    pub(super) start: usize,
    pub(super) key_end: usize,
    pub(super) end: usize,
}

impl Scratch {
    /// The thread's spare scratch, or a new one when a value is being encoded further up the
    /// stack (a `Serialize` implementation may take fingerprints itself) or the thread is ending.
    pub(super) fn take() -> Self {
        SPARE
            .try_with(Cell::take)
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Gives the memory back to the thread, unless it has grown out of proportion.
    pub(super) fn put_back(mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.spilled.clear();
        if fits(&self.bytes) && fits(&self.entries) && fits(&self.spilled) {
            // An ending thread has no slot any more; then the memory is simply freed.
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
    }
}

fn fits<T>(buffer: &Vec<T>) -> bool {
    buffer.capacity() * size_of::<T>() <= KEEP_BYTES
}

#[cfg(test)]
mod tests {
    use super::Scratch;

    #[test]
    fn memory_is_kept_for_the_next_value() {
        let mut scratch = Scratch::take();
        scratch.bytes.reserve_exact(1000);
        scratch.put_back();
        assert!(Scratch::take().bytes.capacity() >= 1000);
    }

    #[test]
    fn memory_that_has_grown_out_of_proportion_is_not_kept() {
        let mut scratch = Scratch::take();
        scratch.bytes.reserve_exact(100_000);
        scratch.put_back();
        assert_eq!(Scratch::take().bytes.capacity(), 0);
        let mut scratch = Scratch::take();
        scratch.entries.reserve_exact(5_000);
        scratch.put_back();
        assert_eq!(Scratch::take().entries.capacity(), 0);
    }

    #[test]
    fn nothing_of_a_value_is_left_for_the_next_one() {
        let mut scratch = Scratch::take();
        scratch.bytes.extend_from_slice(b"secret");
        scratch.put_back();
        assert!(Scratch::take().bytes.is_empty());
    }
}
