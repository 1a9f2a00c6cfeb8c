//! What a sealed record is bound to.

use crate::{Call, Fingerprint, Slot};

/// Where the record and the recovery points of one execution stand: part of what
/// binds everything that is sealed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The slot.
    pub(crate) slot: Slot,
    /// The slot's fingerprint.
    pub(crate) fingerprint: Fingerprint,
}

impl Place {
    /// Where a call claims.
    pub(crate) const fn of(call: &Call) -> Self {
        Self {
            slot: call.slot,
            fingerprint: call.fingerprint,
        }
    }
}

/// What it is that is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As<'a> {
    Record,
    /// The result of this step.
    Step(&'a str),
}
