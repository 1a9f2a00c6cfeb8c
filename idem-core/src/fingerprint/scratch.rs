//! What a thread keeps from one fingerprint to the next: memory, and what it knows of structs.

use std::cell::Cell;

use super::canonical::Encoder;

/// What a thread keeps of each buffer; a rare giant must not stay resident in every worker.
const KEEP_BYTES: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<Encoder>>> = const { Cell::new(None) };
}

/// The thread's spare encoder, or a new one when a value is being encoded further up the stack
/// (a `Serialize` implementation may take fingerprints itself) or the thread is ending.
pub(super) fn take() -> Box<Encoder> {
    SPARE
        .try_with(Cell::take)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Gives an encoder back to the thread, with nothing of the value in it.
pub(super) fn put_back(mut encoder: Box<Encoder>) {
    encoder.reset();
    // An ending thread has no slot any more; then the memory is simply freed.
    let _ = SPARE.try_with(|spare| spare.set(Some(encoder)));
}

/// Empties a buffer, and gives its memory back if it has grown out of proportion.
pub(super) fn shrink<T>(buffer: &mut Vec<T>) {
    buffer.clear();
    if !is_kept(buffer) {
        *buffer = Vec::new();
    }
}

pub(super) fn is_kept<T>(buffer: &Vec<T>) -> bool {
    buffer.capacity() * size_of::<T>() <= KEEP_BYTES
}

#[cfg(test)]
mod tests {
    use super::{KEEP_BYTES, is_kept, put_back, shrink, take};

    #[test]
    fn an_encoder_is_kept_for_the_next_value() {
        let first = take();
        let address = std::ptr::from_ref(&*first).addr();
        put_back(first);
        assert_eq!(std::ptr::from_ref(&*take()).addr(), address);
    }

    #[test]
    fn memory_that_has_grown_out_of_proportion_is_not_kept() {
        let mut numbers: Vec<u64> = Vec::with_capacity(KEEP_BYTES / 8);
        assert!(is_kept(&numbers));
        shrink(&mut numbers);
        assert!(numbers.capacity() > 0);
        numbers.reserve_exact(KEEP_BYTES / 8 + 1);
        assert!(!is_kept(&numbers));
        shrink(&mut numbers);
        assert_eq!(numbers.capacity(), 0);
    }

    #[test]
    fn nothing_of_a_value_is_left_for_the_next_one() {
        let mut encoder = take();
        encoder.sink.put_str(b"secret");
        put_back(encoder);
        assert!(take().sink.written().is_empty());
    }
}
