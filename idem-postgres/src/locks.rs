//! Advisory locks: who has a slot that nobody can see yet.

use idem_core::{Alias, ClaimRequest};
use sha2::{Digest, Sha256};

/// The advisory locks of a claim, and the words for who has them.
pub(crate) struct Locks {
    pub(crate) slot: i64,
    pub(crate) request: i64,
    owner: String,
}

#[derive(Clone, Copy)]
pub(crate) enum Lock {
    /// This transaction.
    Won,
    /// This transaction, for both of its names.
    WonBoth,
    /// One with another fingerprint.
    OtherFingerprint,
    /// One with the same fingerprint.
    SameFingerprint,
}

impl Locks {
    pub(crate) fn of(request: &ClaimRequest, table: &str) -> Self {
        let slot = request.slot.as_bytes();
        Self {
            slot: number(&[b"slot", table.as_bytes(), slot]),
            request: number(&[
                b"request",
                table.as_bytes(),
                slot,
                request.fingerprint.as_bytes(),
            ]),
            owner: owner(request),
        }
    }

    /// Those of a claim's two names together: the same whichever is its own.
    pub(crate) fn of_both(request: &ClaimRequest, alias: &Alias, table: &str) -> Self {
        let mut names = [
            (request.slot, request.fingerprint),
            (alias.slot, alias.fingerprint),
        ];
        names.sort_by_key(|(slot, _)| *slot);
        let [(one, asked), (other, asked_there)] = &names;
        let table = table.as_bytes();
        Self {
            slot: number(&[b"slots", table, one.as_bytes(), other.as_bytes()]),
            request: number(&[
                b"requests",
                table,
                one.as_bytes(),
                asked.as_bytes(),
                other.as_bytes(),
                asked_there.as_bytes(),
            ]),
            owner: owner(request),
        }
    }

    pub(crate) fn guard(&self, lock: Lock) -> String {
        let word = match lock {
            Lock::Won => "won",
            Lock::WonBoth => "both",
            Lock::OtherFingerprint => "other",
            Lock::SameFingerprint => "same",
        };
        format!("{} {word}", self.owner)
    }
}

fn owner(request: &ClaimRequest) -> String {
    let owner = request.owner.as_bytes();
    owner.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of the 2^64 advisory locks, that of these bytes. Two that meet by chance keep
/// each other waiting, no more.
fn number(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use idem_core::{Fingerprint, OnCrash, OwnerId, Retention, Slot};

    use super::*;

    #[test]
    fn opposite_claims_have_the_same_locks_and_those_of_another_payload_the_same_slots() {
        let alias = |slot, asked| Alias {
            slot: Slot::from_bytes([slot; 32]),
            fingerprint: Fingerprint::from_bytes([asked; 32]),
        };
        let locks = |own: Alias, other: Alias| {
            let request = ClaimRequest {
                slot: own.slot,
                fingerprint: own.fingerprint,
                owner: OwnerId::from_bytes([1; 16]),
                lease: Duration::ZERO,
                retention: Retention {
                    ttl: Duration::ZERO,
                    grace: Duration::ZERO,
                },
                on_crash: OnCrash::TakeOver,
                alias: Some(other),
            };
            let locks = Locks::of_both(&request, &other, "t");
            (locks.slot, locks.request)
        };
        let (one, other) = (alias(1, 10), alias(2, 20));
        assert_eq!(locks(one, other), locks(other, one));
        let another = locks(alias(1, 11), alias(2, 21));
        assert_eq!(another.0, locks(one, other).0);
        assert_ne!(another.1, locks(one, other).1);
    }
}
