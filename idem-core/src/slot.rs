//! The only name a store ever sees.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use hmac::{Hmac, KeyInit};
use sha2::{Digest, Sha256};

use crate::{Fingerprint, IdempotencyKey, Operation, Scope, ScopeTag};

/// Part of every slot: a change of the derivation changes every slot.
const SLOT_VERSION: u8 = 1;

/// Part of every keyed fingerprint. It begins otherwise than a slot, so that no
/// slot is ever the fingerprint of anything.
const FINGERPRINT_DOMAIN: &[u8] = b"idem keyed fingerprint 1";

/// The name of a record in a store: 32 bytes from which neither the key nor
/// the user can be read.
///
/// `Display` is the 64 hexadecimal digits, `Debug` the first eight. [`FromStr`]
/// reads the 64 digits back, upper case too.
///
/// ```
/// # use idem_core::{IdempotencyKey, Operation, Scope, SlotDeriver};
/// # let slot = SlotDeriver::new("shop").slot(
/// #     &Operation::new("pay"), &Scope::GLOBAL, &IdempotencyKey::new("k-1")?);
/// let typed = slot.to_string();
/// assert_eq!(typed.parse(), Ok(slot));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot([u8; 32]);

impl Slot {
    /// A slot read back from a store. One that an operator types is
    /// [parsed](str::parse).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The slot's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal digits: enough to find a request in a log.
    #[must_use]
    pub const fn short(&self) -> ShortSlot {
        ShortSlot([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A slot is itself a digest: eight of its bytes spread as well as all.
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.short())
    }
}

impl FromStr for Slot {
    type Err = SlotError;

    fn from_str(text: &str) -> Result<Self, SlotError> {
        let mut bytes = [0; 32];
        let mut digits = 0;
        for (position, character) in text.chars().enumerate() {
            let Some(value) = character.to_digit(16) else {
                return Err(SlotError::NotHexadecimal {
                    position,
                    character,
                });
            };
            if let Some(byte) = bytes.get_mut(position / 2) {
                // A digit is less than 16.
                *byte = *byte << 4 | value as u8;
            }
            digits += 1;
        }
        match digits {
            64 => Ok(Self(bytes)),
            digits => Err(SlotError::Length { digits }),
        }
    }
}

/// Why a text is no [`Slot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// There are fewer digits, or more.
    #[error("a slot has 64 hexadecimal digits, this has {digits}; logs show only the first 8")]
    Length {
        /// How many it has.
        digits: usize,
    },
    /// Something is no hexadecimal digit.
    #[error(
        "a slot has 64 hexadecimal digits and nothing else, this has {character:?} at {position}"
    )]
    NotHexadecimal {
        /// Where it stands, in characters, counted from 0.
        position: usize,
        /// What stands there.
        character: char,
    },
}

/// The first eight hexadecimal digits of a [`Slot`], for logs and spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortSlot([u8; 4]);

impl fmt::Display for ShortSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// Derives [`Slot`]s: SHA-256 (or HMAC-SHA-256 under a secret) over the format
/// version, namespace, operation, scope name, scope value and key, each
/// prefixed with its length.
///
/// ```
/// use idem_core::{IdempotencyKey, Operation, Scope, SlotDeriver};
///
/// let slots = SlotDeriver::new("shop");
/// let key = IdempotencyKey::new("k-1")?;
/// let ana = slots.slot(&Operation::new("pay"), &Scope::new("user", "ana")?, &key);
/// let bob = slots.slot(&Operation::new("pay"), &Scope::new("user", "bob")?, &key);
/// assert_ne!(ana, bob);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SlotDeriver {
    prefix: Prefix,
    /// Under a secret, the digest after the domain of fingerprints.
    seal: Option<Box<Hmac<Sha256>>>,
}

/// The digest after version and namespace, which are the same for every slot.
#[derive(Clone)]
enum Prefix {
    Plain(Sha256),
    Keyed(Box<Hmac<Sha256>>),
}

impl SlotDeriver {
    /// Slots of one namespace: services that share a store and no records differ in it.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self::start(Prefix::Plain(Sha256::new()), namespace)
    }

    /// The same under a secret, so that somebody with a dump of the store can
    /// test no guesses against it: of keys, user ids or (see [`seal`](Self::seal))
    /// payloads. All nodes need the same secret, and a changed secret is a new
    /// namespace unless it is [rotated](crate::RuntimeBuilder::accept_secret).
    #[must_use]
    pub fn keyed(namespace: &str, secret: &[u8]) -> Self {
        // RFC 2104: a key longer than the block is hashed, a shorter one is padded.
        let mut block = [0u8; 64];
        if secret.len() > block.len() {
            block[..32].copy_from_slice(&Sha256::digest(secret));
        } else {
            block[..secret.len()].copy_from_slice(secret);
        }
        let mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        let mut seal = Box::new(mac.clone());
        hmac::Mac::update(seal.as_mut(), FINGERPRINT_DOMAIN);
        Self {
            seal: Some(seal),
            ..Self::start(Prefix::Keyed(Box::new(mac)), namespace)
        }
    }

    fn start(mut prefix: Prefix, namespace: &str) -> Self {
        prefix.update(&[SLOT_VERSION]);
        prefix.part(namespace.as_bytes());
        Self { prefix, seal: None }
    }

    /// The slot of one key of one caller at one operation.
    #[must_use]
    pub fn slot(&self, operation: &Operation, scope: &Scope, key: &IdempotencyKey) -> Slot {
        let mut digest = self.prefix.clone();
        digest.part(operation.as_str().as_bytes());
        digest.part(scope.name().as_bytes());
        digest.part(scope.value().as_bytes());
        digest.part(key.as_str().as_bytes());
        digest.finish()
    }

    /// A fingerprint as the store sees it: under a secret HMAC-SHA-256 over the
    /// slot and the fingerprint, so that neither a guess of a payload nor whether two
    /// slots have the same one can be tested. Without a secret it is as it was.
    #[must_use]
    pub fn seal(&self, slot: Slot, fingerprint: Fingerprint) -> Fingerprint {
        let Some(seal) = &self.seal else {
            return fingerprint;
        };
        let mut mac = seal.clone();
        hmac::Mac::update(mac.as_mut(), slot.as_bytes());
        hmac::Mac::update(mac.as_mut(), fingerprint.as_bytes());
        Fingerprint::from_bytes(hmac::Mac::finalize(*mac).into_bytes().into())
    }

    /// The tag of one scope's meter: the first half of the same digest over the
    /// scope alone. No slot is made of the same bytes, because the length of a
    /// slot's first part is never the mark that stands in its place here.
    #[must_use]
    pub fn scope_tag(&self, scope: &Scope) -> ScopeTag {
        let mut digest = self.prefix.clone();
        digest.update(&u64::MAX.to_le_bytes());
        digest.part(scope.name().as_bytes());
        digest.part(scope.value().as_bytes());
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest.finish().0;
        ScopeTag::from_bytes(tag)
    }
}

impl fmt::Debug for SlotDeriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.prefix {
            Prefix::Plain(_) => "SlotDeriver(plain)",
            Prefix::Keyed(_) => "SlotDeriver(keyed)",
        })
    }
}

impl Prefix {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Plain(digest) => Digest::update(digest, bytes),
            Self::Keyed(mac) => hmac::Mac::update(mac.as_mut(), bytes),
        }
    }

    fn part(&mut self, bytes: &[u8]) {
        self.update(&(bytes.len() as u64).to_le_bytes());
        self.update(bytes);
    }

    fn finish(self) -> Slot {
        Slot(match self {
            Self::Plain(digest) => digest.finalize().into(),
            Self::Keyed(mac) => hmac::Mac::finalize(*mac).into_bytes().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(deriver: &SlotDeriver, parts: [&str; 4]) -> Slot {
        let [operation, scope, value, key] = parts.map(str::to_owned);
        deriver.slot(
            &Operation::new(operation),
            &Scope::new(scope, value).unwrap(),
            &IdempotencyKey::new(key).unwrap(),
        )
    }

    #[test]
    fn the_derivation_is_what_the_design_says() {
        let mut expected = Sha256::new();
        expected.update([1]);
        for part in ["shop", "POST /p", "user", "ana", "k"] {
            expected.update((part.len() as u64).to_le_bytes());
            expected.update(part);
        }
        let expected: [u8; 32] = expected.finalize().into();
        let ours = slot(&SlotDeriver::new("shop"), ["POST /p", "user", "ana", "k"]);
        assert_eq!(ours.as_bytes(), &expected);
    }

    /// RFC 2104: only a secret that is longer than a block is hashed first.
    #[test]
    fn a_secret_of_one_block_is_used_as_it_is() {
        let parts = ["POST /p", "user", "ana", "k"];
        for (len, is_hashed) in [(63, false), (64, false), (65, true)] {
            let secret = vec![7; len];
            let hashed = SlotDeriver::keyed("shop", &Sha256::digest(&secret));
            let ours = slot(&SlotDeriver::keyed("shop", &secret), parts);
            assert_eq!(ours == slot(&hashed, parts), is_hashed, "{len} bytes");
        }
    }

    #[test]
    fn golden_slots_do_not_change_between_versions() {
        let parts = ["POST /payments", "user", "ana", "8e03978e"];
        assert_eq!(
            slot(&SlotDeriver::new("idem"), parts).to_string(),
            GOLDEN_PLAIN
        );
        assert_eq!(
            slot(&SlotDeriver::keyed("idem", b"secret"), parts).to_string(),
            GOLDEN_KEYED
        );
    }
    const GOLDEN_PLAIN: &str = "cef75cb537be517790c4783a867507a21b81c520c74b69f4510a64a69e4e106e";
    const GOLDEN_KEYED: &str = "240146c2dcb57274e58729ff02ead01dfb17560c798c0753c20b07e0b6889234";

    #[test]
    fn a_golden_keyed_fingerprint_does_not_change_between_versions() {
        let slot = Slot::from_bytes([7; 32]);
        let asked = Fingerprint::from_bytes([9; 32]);
        let sealed = SlotDeriver::keyed("idem", b"secret").seal(slot, asked);
        let digits = sealed.as_bytes().map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(digits, GOLDEN_SEALED);
        // The namespace is in the slot already.
        assert_eq!(SlotDeriver::keyed("n", b"secret").seal(slot, asked), sealed);
        assert_eq!(SlotDeriver::new("idem").seal(slot, asked), asked);
    }
    const GOLDEN_SEALED: &str = "56cd2ce5ea8137548e66356b6b3ce5629879a117c3de68d7a0f35f5959eada71";

    #[test]
    fn secret_slot_and_payload_each_give_another_fingerprint() {
        let deriver = SlotDeriver::keyed("n", b"one");
        let (slot, other) = (Slot::from_bytes([1; 32]), Slot::from_bytes([2; 32]));
        let asked = Fingerprint::from_bytes([9; 32]);
        let all = [
            asked,
            deriver.seal(slot, asked),
            deriver.seal(other, asked),
            deriver.seal(slot, Fingerprint::from_bytes([8; 32])),
            SlotDeriver::keyed("n", b"two").seal(slot, asked),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one));
        }
    }

    #[test]
    fn a_slot_comes_back_from_its_digits_of_either_case() {
        let shown = slot(&SlotDeriver::new("n"), ["a", "b", "c", "d"]);
        let text = shown.to_string();
        assert_eq!(text.parse(), Ok(shown));
        assert_eq!(text.to_uppercase().parse(), Ok(shown));
        let counted: [u8; 32] = std::array::from_fn(|index| index as u8 * 8);
        let counted = Slot::from_bytes(counted);
        assert_eq!(counted.to_string().parse(), Ok(counted));
    }

    #[test]
    fn what_is_no_slot_is_told_what_one_looks_like() {
        let parse = |text: &str| text.parse::<Slot>().unwrap_err();
        for digits in [0, 8, 63, 65, 128] {
            assert_eq!(parse(&"a".repeat(digits)), SlotError::Length { digits });
        }
        for (text, position, character) in [
            ("cef75cb5…", 8, '…'),
            (" cef7", 0, ' '),
            ("+f", 0, '+'),
            ("0xcef7", 1, 'x'),
        ] {
            let padded = format!("{text}{}", "0".repeat(64 - text.chars().count()));
            let error = SlotError::NotHexadecimal {
                position,
                character,
            };
            assert_eq!(parse(text), error);
            assert_eq!(parse(&padded), error);
            assert!(error.to_string().contains("64 hexadecimal digits"));
        }
    }

    #[test]
    fn golden_scope_tags_do_not_change_between_versions() {
        let ana = Scope::new("user", "ana").unwrap();
        let tag = |deriver: SlotDeriver| {
            let tag = u128::from_be_bytes(*deriver.scope_tag(&ana).as_bytes());
            format!("{tag:032x}")
        };
        assert_eq!(tag(SlotDeriver::new("idem")), GOLDEN_TAG);
        assert_eq!(tag(SlotDeriver::keyed("idem", b"secret")), GOLDEN_KEYED_TAG);
    }
    const GOLDEN_TAG: &str = "efecb74cf69b589adebac17532c8da05";
    const GOLDEN_KEYED_TAG: &str = "ba884199ead6ad974e0a8295fef19207";

    #[test]
    fn namespace_secret_kind_and_value_each_give_another_scope_tag() {
        let scope =
            |name: &str, value: &str| Scope::new(name.to_owned(), value.to_owned()).unwrap();
        let plain = SlotDeriver::new("n");
        let all = [
            plain.scope_tag(&scope("user", "ana")),
            plain.scope_tag(&scope("user", "bob")),
            plain.scope_tag(&scope("tenant", "ana")),
            plain.scope_tag(&scope("use", "rana")),
            plain.scope_tag(&Scope::GLOBAL),
            SlotDeriver::new("m").scope_tag(&scope("user", "ana")),
            SlotDeriver::keyed("n", b"one").scope_tag(&scope("user", "ana")),
            SlotDeriver::keyed("n", b"two").scope_tag(&scope("user", "ana")),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one));
        }
    }

    /// Or a table of slots is a list.
    #[test]
    fn slots_and_tags_have_different_hashes() {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        fn hash(value: impl Hash) -> u64 {
            BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
        }
        let [one, two] = [1, 2].map(|byte| hash(Slot::from_bytes([byte; 32])));
        assert_ne!(one, two);
        let [one, two] = [1, 2].map(|byte| hash(ScopeTag::from_bytes([byte; 16])));
        assert_ne!(one, two);
    }

    #[test]
    fn moving_bytes_between_parts_gives_another_slot() {
        let deriver = SlotDeriver::new("n");
        let all = [
            ["ab", "c", "d", "e"],
            ["a", "bc", "d", "e"],
            ["a", "b", "cd", "e"],
            ["a", "b", "c", "de"],
        ]
        .map(|parts| slot(&deriver, parts));
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one));
        }
    }

    #[test]
    fn a_secret_and_a_namespace_each_give_other_slots() {
        let parts = ["a", "b", "c", "d"];
        let all = [
            SlotDeriver::new("n"),
            SlotDeriver::new("m"),
            SlotDeriver::keyed("n", b"one"),
            SlotDeriver::keyed("n", b"two"),
            SlotDeriver::keyed("n", &[7; 100]),
        ]
        .map(|deriver| slot(&deriver, parts));
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one));
        }
    }
}
