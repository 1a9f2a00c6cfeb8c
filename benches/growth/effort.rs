//! How much is done.

use crate::measure;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How many records a store holds.
    pub(crate) in_memory: &'static [usize],
    pub(crate) in_others: &'static [usize],
    pub(crate) record_rounds: usize,
    pub(crate) connections: &'static [usize],
    pub(crate) race: measure::Effort,
    /// The bytes of a payload, and how often each contestant has its turn.
    pub(crate) payloads: &'static [(usize, usize)],
    /// The bytes of an answer, and how many keys have one in a turn.
    pub(crate) options: &'static [(usize, usize)],
    pub(crate) block_rounds: usize,
}

pub(crate) const MEASURED: Effort = Effort {
    in_memory: &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    in_others: &[1_000, 10_000, 100_000, 1_000_000],
    record_rounds: 20,
    connections: &[1, 4, 16, 64, 256, 1000],
    race: measure::Effort {
        rounds: 5,
        operations: 20_000,
    },
    payloads: &[(MIB, 31), (16 * MIB, 9)],
    options: &[
        (256, 100),
        (KIB, 100),
        (2 * KIB, 100),
        (4 * KIB, 100),
        (8 * KIB, 100),
        (16 * KIB, 50),
        (64 * KIB, 25),
        (MIB, 4),
    ],
    block_rounds: 51,
};

pub(crate) const TRIED: Effort = Effort {
    in_memory: &[10, 100],
    in_others: &[10, 100],
    record_rounds: 1,
    connections: &[1],
    race: measure::Effort {
        rounds: 1,
        operations: 50,
    },
    payloads: &[(64 * KIB, 1)],
    options: &[(16 * KIB, 2)],
    block_rounds: 1,
};
