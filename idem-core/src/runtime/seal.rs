//! The one place where what the store keeps is compressed and then sealed, and the one
//! where it is opened and then expanded.
//!
//! Without either nothing is copied: what is stored is handed on, after a look at
//! whether it is sealed or compressed.

#[cfg(feature = "encryption")]
use std::sync::Arc;

use bytes::Bytes;

use super::Inner;
#[cfg(feature = "compression")]
use crate::compression::{Compression, expand};
#[cfg(feature = "encryption")]
use crate::encryption::Keyring;
#[cfg(not(feature = "compression"))]
use crate::record::Compressed;
use crate::{
    Call, Checkpoint, Execution, Replay, StoreError,
    record::{As, KeyId, OpenError, Place, Sealed, Unopened, is_compressed, is_sealed},
    telemetry,
};

/// What a runtime compresses and seals with.
#[derive(Clone, Default)]
pub(super) struct Seals {
    #[cfg(feature = "compression")]
    pub(super) compression: Option<Compression>,
    #[cfg(feature = "encryption")]
    pub(super) keyring: Option<Arc<Keyring>>,
}

/// What seals and opens for one execution.
#[derive(Clone)]
pub(crate) struct Sealer {
    seals: Seals,
    place: Place,
}

/// What was read, and the key that it was sealed under, if any.
type Read = (Bytes, Option<KeyId>);

impl Seals {
    /// For what stands at `place`.
    pub(super) fn at(&self, place: Place) -> Sealer {
        Sealer {
            seals: self.clone(),
            place,
        }
    }

    /// Whether what is written is sealed.
    pub(super) const fn seals(&self) -> bool {
        #[cfg(feature = "encryption")]
        return self.keyring.is_some();
        #[cfg(not(feature = "encryption"))]
        false
    }

    /// As it is stored where nothing is sealed.
    pub(super) fn compressed(&self, plain: Bytes) -> Bytes {
        #[cfg(feature = "compression")]
        if let Some(compression) = self.compression {
            return compression.compress(plain);
        }
        plain
    }

    fn seal(&self, place: &Place, what: As<'_>, plain: Bytes) -> Result<Bytes, StoreError> {
        let plain = self.compressed(plain);
        #[cfg(feature = "encryption")]
        if let Some(keyring) = &self.keyring {
            let sealed = keyring.seal(place, what, &plain);
            return sealed.map_err(|error| StoreError::Unsealed(Box::new(error)));
        }
        let _ = (place, what);
        Ok(plain)
    }

    fn open(&self, place: &Place, what: As<'_>, stored: Bytes) -> Result<Read, Unopened> {
        let (opened, key) = self.unsealed(place, what, stored)?;
        Ok((expanded(opened)?, key))
    }

    fn unsealed(&self, place: &Place, what: As<'_>, stored: Bytes) -> Result<Read, Unopened> {
        #[cfg(feature = "encryption")]
        if let Some(keyring) = &self.keyring {
            return keyring.open(place, what, stored);
        }
        let _ = (place, what);
        if !is_sealed(&stored) {
            return Ok((stored, None));
        }
        Err(match Sealed::decode(&stored) {
            Ok(sealed) => Unopened::NoKeyring { key: sealed.key },
            Err(error) => Unopened::Malformed(error),
        })
    }
}

/// Whoever compresses and whoever does not reads what is compressed.
fn expanded(opened: Bytes) -> Result<Bytes, Unopened> {
    if !is_compressed(&opened) {
        return Ok(opened);
    }
    #[cfg(feature = "compression")]
    return expand(&opened).map_err(Unopened::Malformed);
    #[cfg(not(feature = "compression"))]
    Err(match Compressed::decode(&opened) {
        Ok(_) => Unopened::Compressed,
        Err(error) => Unopened::Malformed(error),
    })
}

impl Inner {
    /// For a call, under the name that it stands under now.
    pub(super) fn sealer(&self, call: &Call) -> Sealer {
        self.seals.at(Place::of(call))
    }
}

impl Sealer {
    /// A record as the store gets it.
    pub(super) fn record(&self, record: Bytes) -> Result<Bytes, StoreError> {
        self.seals.seal(&self.place, As::Record, record)
    }

    /// A step's result as the store gets it.
    pub(super) fn step(&self, step: Checkpoint) -> Result<Checkpoint, StoreError> {
        let what = As::Step(&step.name);
        let value = self.seals.seal(&self.place, what, step.value)?;
        Ok(Checkpoint { value, ..step })
    }

    /// A record as the store had it.
    pub(super) fn open(&self, stored: Bytes) -> Result<Read, OpenError> {
        let opened = self.seals.open(&self.place, As::Record, stored);
        opened.map_err(|reason| OpenError::of(None, reason))
    }

    /// The results of a slot's steps as the store had them: all of them, or none.
    pub(super) fn open_steps(
        &self,
        call: &Call,
        steps: Vec<Checkpoint>,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let opened = steps.into_iter().map(|step| {
            let what = As::Step(&step.name);
            match self.seals.open(&self.place, what, step.value) {
                Ok((value, _)) => Ok(Checkpoint { value, ..step }),
                Err(reason) => Err(OpenError::of(Some(step.name), reason)),
            }
        });
        let opened: Result<_, _> = opened.collect();
        opened.map_err(|error| self.unopened(call, error))
    }

    /// What a record says to a call that finds it.
    pub(super) fn replay<A>(&self, call: &Call, record: Bytes, expired: bool) -> Execution<A> {
        match self.open(record) {
            Ok((record, _)) => Execution::Replayed(Replay { record, expired }),
            Err(error) => Execution::StoreFailed(self.unopened(call, error)),
        }
    }

    /// Whether this is the record that was stored, and not another's.
    pub(super) fn is(&self, stored: &Bytes, record: &Bytes) -> bool {
        matches!(self.open(stored.clone()), Ok((opened, _)) if opened == *record)
    }

    fn unopened(&self, call: &Call, error: OpenError) -> StoreError {
        telemetry::unopened(call, &error);
        StoreError::Unopened {
            slot: self.place.slot,
            cause: Box::new(error),
        }
    }
}

#[cfg(all(test, feature = "compression"))]
mod tests {
    use super::*;
    use crate::{Fingerprint, Slot};

    /// What is asked when the reply to a commit is lost.
    #[test]
    fn a_compressed_record_is_known_again_and_another_s_is_not() {
        let place = Place {
            slot: Slot::from_bytes([1; 32]),
            fingerprint: Fingerprint::from_bytes([2; 32]),
        };
        let compresses = Seals {
            compression: Some(Compression::default()),
            ..Seals::default()
        };
        let (own, others) = (vec![b'a'; 10_000], vec![b'b'; 10_000]);
        let (own, others) = (Bytes::from(own), Bytes::from(others));
        let stored = compresses.at(place).record(own.clone()).unwrap();
        assert_ne!(stored, own);
        // Also where another node has another threshold, or none.
        for sealer in [compresses.at(place), Seals::default().at(place)] {
            assert!(sealer.is(&stored, &own) && sealer.is(&own, &own));
            assert!(!sealer.is(&stored, &others) && !sealer.is(&stored, &stored));
        }
    }
}
