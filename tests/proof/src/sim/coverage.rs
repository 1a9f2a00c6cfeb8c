//! Which situations schedules have been in.

use std::collections::{BTreeMap, BTreeSet};

/// What must be met.
pub const SITUATIONS: &[&str] = &[];

/// What was met.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    outcomes: BTreeSet<u64>,
    situations: BTreeMap<&'static str, u64>,
}
