//! Sealing and opening.

use bytes::{Bytes, BytesMut};
use chacha20poly1305::{AeadInOut, XNonce};
use rand::{TryRng, rngs::SysRng};

use super::keyring::{Key, Keyring};
use crate::record::{As, KeyId, NONCE_BYTES, Place, Sealed, TAG_BYTES, Unopened, is_sealed};

/// Why something cannot be sealed. Nothing of it was given to anybody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("the operating system has no random numbers for a nonce")]
    Nonce(#[source] rand::rngs::SysError),
    #[error("it is longer than can be sealed")]
    Length,
}

impl Keyring {
    /// Under a nonce that was never used.
    pub(crate) fn seal(
        &self,
        place: &Place,
        what: As<'_>,
        plain: &[u8],
    ) -> Result<Bytes, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        SysRng
            .try_fill_bytes(&mut nonce)
            .map_err(SealError::Nonce)?;
        seal_under(self.sealing(), &nonce, place, what, plain)
    }

    /// What was sealed, with the key's name; `None` for what was never sealed and is
    /// read all the same.
    pub(crate) fn open(
        &self,
        place: &Place,
        what: As<'_>,
        stored: Bytes,
    ) -> Result<(Bytes, Option<KeyId>), Unopened> {
        if !is_sealed(&stored) {
            return match self.takes_unsealed() {
                true => Ok((stored, None)),
                false => Err(Unopened::NotSealed),
            };
        }
        let sealed = Sealed::decode(&stored).map_err(Unopened::Malformed)?;
        let id = sealed.key;
        let key = self.key(&id).ok_or(Unopened::UnknownKey { key: id })?;
        let mut plain = BytesMut::from(sealed.ciphertext.as_ref());
        let opened = key.cipher().decrypt_inout_detached(
            &XNonce::from(sealed.nonce),
            &bound(key.id(), place, what),
            plain.as_mut().into(),
            &sealed.tag.into(),
        );
        match opened {
            Ok(()) => Ok((plain.freeze(), Some(id))),
            Err(_) => Err(Unopened::Altered { key: id }),
        }
    }
}

fn seal_under(
    key: &Key,
    nonce: &[u8; NONCE_BYTES],
    place: &Place,
    what: As<'_>,
    plain: &[u8],
) -> Result<Bytes, SealError> {
    let bound = bound(key.id(), place, what);
    Sealed::encode(key.id(), nonce, plain, |bytes| {
        let tag = key
            .cipher()
            .encrypt_inout_detached(&XNonce::from(*nonce), &bound, bytes.into());
        let tag: [u8; TAG_BYTES] = tag.map_err(|_| SealError::Length)?.into();
        Ok(tag)
    })
}

/// The associated data. Each part is behind its length, so that no two lists of parts are
/// the same bytes.
fn bound(key: &KeyId, place: &Place, what: As<'_>) -> Vec<u8> {
    let (purpose, step) = match what {
        As::Record => ("record", ""),
        As::Step(name) => ("step", name),
    };
    let parts: [&[u8]; 6] = [
        &[Sealed::VERSION],
        purpose.as_bytes(),
        step.as_bytes(),
        key.as_str().as_bytes(),
        place.slot.as_bytes(),
        place.fingerprint.as_bytes(),
    ];
    let length = parts.iter().map(|part| part.len() + 4).sum();
    let mut bytes = Vec::with_capacity(length);
    for part in parts {
        // None is longer than a step's name.
        bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Fingerprint, Slot,
        record::{Record, RecordError},
    };

    const PLACE: Place = Place {
        slot: Slot::from_bytes([1; 32]),
        fingerprint: Fingerprint::from_bytes([2; 32]),
    };

    fn key(id: &str, byte: u8) -> Key {
        Key::new(id, &[byte; 32]).unwrap()
    }

    fn ring() -> Keyring {
        let ring = Keyring::new(key("2026-11", 7)).also_reads(key("2026-10", 6));
        ring.unwrap()
    }

    fn opened(what: As<'_>, stored: &Bytes) -> Result<Bytes, Unopened> {
        ring()
            .open(&PLACE, what, stored.clone())
            .map(|(plain, _)| plain)
    }

    fn sealed(what: As<'_>) -> Bytes {
        ring().seal(&PLACE, what, b"an answer").unwrap()
    }

    /// The checksum is no secret: whoever alters a record makes a new one.
    fn with_its_checksum(mut bytes: Vec<u8>) -> Bytes {
        let end = bytes.len() - 4;
        bytes.truncate(end);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.into()
    }

    /// Golden: what this version has sealed, every later one opens. Both were also made
    /// by another implementation of the draft, which passes its test vector A.3.1.
    #[test]
    fn the_sealed_form_of_version_1_does_not_change() {
        let (key, nonce) = (key("2026-11", 7), std::array::from_fn(|n| n as u8));
        let hex = |what| -> String {
            let bytes = seal_under(&key, &nonce, &PLACE, what, b"an answer").unwrap();
            assert_eq!(opened(what, &bytes).unwrap(), "an answer");
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(hex(As::Record), GOLDEN_RECORD);
        assert_eq!(hex(As::Step("charge")), GOLDEN_STEP);
    }
    const GOLDEN_RECORD: &str = "6964656d0103\
        07323032362d3131000102030405060708090a0b0c0d0e0f1011121314151617\
        19c9798be4946f2cc05799f77fd9cc6a751e566773b15114fd1105ad8cb5";
    const GOLDEN_STEP: &str = "6964656d0103\
        07323032362d3131000102030405060708090a0b0c0d0e0f1011121314151617\
        19c9798be4946f2cc05704b30db79a03cd9423cfd7eb69427faf02f51237";

    #[test]
    fn every_flipped_bit_is_an_error() {
        for what in [As::Record, As::Step("charge")] {
            let bytes = sealed(what);
            for bit in 0..bytes.len() * 8 {
                let mut broken = bytes.to_vec();
                broken[bit / 8] ^= 1 << (bit % 8);
                assert!(opened(what, &broken.clone().into()).is_err(), "bit {bit}");
                if bit / 8 < bytes.len() - 4 {
                    let mended = with_its_checksum(broken);
                    assert!(opened(what, &mended).is_err(), "bit {bit}, mended");
                }
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sealed(As::Record);
        for length in 0..bytes.len() {
            let short = bytes.slice(..length);
            assert!(opened(As::Record, &short).is_err(), "{length}");
            if length > 4 {
                let mended = with_its_checksum(short.to_vec());
                assert!(opened(As::Record, &mended).is_err(), "{length}, mended");
            }
        }
        let longer = with_its_checksum([&bytes[..], &[0; 1]].concat());
        assert!(opened(As::Record, &longer).is_err());
    }

    #[test]
    fn what_is_moved_does_not_open() {
        let altered = |error| matches!(error, Err(Unopened::Altered { .. }));
        let record = sealed(As::Record);
        let slot = Slot::from_bytes([3; 32]);
        let fingerprint = Fingerprint::from_bytes([3; 32]);
        for place in [
            Place { slot, ..PLACE },
            Place {
                fingerprint,
                ..PLACE
            },
        ] {
            assert!(altered(ring().open(&place, As::Record, record.clone())));
        }
        // Neither may one be read as the other, nor what stands between them be moved.
        let swapped = Place {
            slot: Slot::from_bytes(*PLACE.fingerprint.as_bytes()),
            fingerprint: Fingerprint::from_bytes(*PLACE.slot.as_bytes()),
        };
        assert!(altered(ring().open(&swapped, As::Record, record.clone())));
        let step = sealed(As::Step("charge"));
        for other in [
            As::Step("ship"),
            As::Step("charg"),
            As::Step(""),
            As::Record,
        ] {
            assert!(
                altered(ring().open(&PLACE, other, step.clone())),
                "{other:?}"
            );
        }
        assert!(altered(ring().open(&PLACE, As::Step(""), record.clone())));
    }

    #[test]
    fn a_key_s_name_cannot_be_exchanged() {
        // The same key under another name, and another key under the same name.
        let stored = sealed(As::Record);
        let at = 7;
        assert_eq!(&stored[at..at + 7], b"2026-11");
        let mut renamed = stored.to_vec();
        renamed[at..at + 7].copy_from_slice(b"2026-12");
        let renamed = with_its_checksum(renamed);
        let same_key = Keyring::new(key("2026-12", 7));
        let error = same_key
            .open(&PLACE, As::Record, renamed.clone())
            .unwrap_err();
        assert!(matches!(error, Unopened::Altered { .. }));
        let other_key = Keyring::new(key("2026-11", 8));
        let error = other_key
            .open(&PLACE, As::Record, stored.clone())
            .unwrap_err();
        assert!(matches!(error, Unopened::Altered { .. }));
        let error = opened(As::Record, &renamed).unwrap_err();
        let id = "2026-12".parse().unwrap();
        assert_eq!(error, Unopened::UnknownKey { key: id });
    }

    #[test]
    fn what_is_not_sealed_is_read_only_if_that_was_said() {
        let plain = Record::Value(Bytes::from_static(b"1")).encode();
        let error = ring().open(&PLACE, As::Record, plain.clone()).unwrap_err();
        assert_eq!(error, Unopened::NotSealed);
        let lenient = ring().reads_unsealed();
        let read = lenient.open(&PLACE, As::Record, plain.clone()).unwrap();
        assert_eq!(read, (plain, None));
        // What is sealed must open all the same.
        let mut broken = sealed(As::Record).to_vec();
        broken[50] ^= 1;
        let broken = with_its_checksum(broken);
        assert!(lenient.open(&PLACE, As::Record, broken.clone()).is_err());
    }

    #[test]
    fn a_sealed_record_says_what_it_is_to_those_who_cannot_open_it() {
        let key = "2026-11".parse().unwrap();
        let decoded = Record::decode(&sealed(As::Record));
        assert_eq!(decoded, Err(RecordError::Sealed { key }));
    }

    #[test]
    fn what_is_sealed_takes_no_more_memory_than_it_needs() {
        let bound = bound(ring().seals_under(), &PLACE, As::Step("charge"));
        assert_eq!(bound.capacity(), bound.len());
        for plain in [0, 90, 130, 20_000] {
            let sealed = ring().seal(&PLACE, As::Record, &vec![7; plain]).unwrap();
            let length = sealed.len();
            assert_eq!(sealed.try_into_mut().unwrap().capacity(), length);
        }
    }

    #[test]
    fn the_same_is_never_sealed_twice_alike() {
        assert_ne!(sealed(As::Record), sealed(As::Record));
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(
            plain in prop::collection::vec(any::<u8>(), 0..300),
            slot in any::<[u8; 32]>(),
            fingerprint in any::<[u8; 32]>(),
            step in prop::option::of("\\PC{1,100}"),
        ) {
            let place = Place {
                slot: Slot::from_bytes(slot),
                fingerprint: Fingerprint::from_bytes(fingerprint),
            };
            let what = step.as_deref().map_or(As::Record, As::Step);
            let old = Keyring::new(key("2026-10", 6));
            for ring in [&ring(), &old] {
                let stored = ring.seal(&place, what, &plain).unwrap();
                let (read, id) = self::ring().open(&place, what, stored.clone()).unwrap();
                prop_assert_eq!(read, &plain);
                prop_assert_eq!(id.as_ref(), Some(ring.seals_under()));
            }
        }

        #[test]
        fn no_bytes_panic_even_with_a_right_checksum(
            content in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let bytes = [b"idem\x01\x03", &content[..], &[0; 4]].concat();
            prop_assert!(opened(As::Record, &with_its_checksum(bytes)).is_err());
            prop_assert!(opened(As::Record, &content.into()).is_err());
        }
    }
}
