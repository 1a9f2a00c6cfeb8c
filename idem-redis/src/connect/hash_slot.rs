//! Which of a cluster's 16,384 hash slots a key belongs to.

/// How many there are.
pub(crate) const HASH_SLOTS: u16 = 16_384;

/// CRC-16/XMODEM of the key, as the
/// [cluster specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model)
/// says. Keys of idem have no `{tag}`: a namespace may not contain one.
pub(crate) fn hash_slot(key: &[u8]) -> u16 {
    let crc = key.iter().fold(0u16, |crc, byte| {
        let index = (crc >> 8) ^ u16::from(*byte);
        (crc << 8) ^ TABLE[usize::from(index)]
    });
    crc % HASH_SLOTS
}

static TABLE: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_specifications_checksum() {
        // From the specification: CRC16 of "123456789" is 0x31C3.
        assert_eq!(hash_slot(b"123456789"), 0x31C3 % HASH_SLOTS);
        // From a server: CLUSTER KEYSLOT.
        assert_eq!(hash_slot(b"foo"), 12_182);
        assert_eq!(hash_slot(b""), 0);
    }
}
