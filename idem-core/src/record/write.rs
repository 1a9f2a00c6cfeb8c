//! Numbers and byte strings as records hold them, and how long they will be.

use bytes::{BufMut, BytesMut};

/// LEB128: seven bits a byte, the lowest first; each but the last has its eighth bit set.
pub(super) fn put_number(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        // The mask keeps it in a byte.
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// How many bytes [`put_number`] writes.
pub(super) const fn number_len(number: u64) -> usize {
    // Zero takes a byte, too.
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// How many bytes [`put_bytes`] writes.
pub(super) const fn bytes_len(bytes: &[u8]) -> usize {
    number_len(bytes.len() as u64) + bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_as_long_as_was_said() {
        let edges = (0..u64::BITS).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + 1]
        });
        for number in edges.chain([u64::MAX]) {
            let mut out = BytesMut::new();
            put_number(&mut out, number);
            assert_eq!(out.len(), number_len(number), "{number}");
        }
    }
}
