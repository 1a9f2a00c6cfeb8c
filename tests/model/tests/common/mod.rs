//! What both tests explore.

use idem_model::{Bounds, Fingerprint, Protocol};

pub(crate) const SAME: [Fingerprint; 3] = [Fingerprint::Same; 3];

/// The protocol as it is, at one server.
pub(crate) const fn protocol(fingerprints: [Fingerprint; 3], bounds: Bounds) -> Protocol {
    Protocol {
        fingerprints,
        nodes: [0, 1, 0],
        bounds,
        has_replica: false,
        flaw: None,
    }
}
