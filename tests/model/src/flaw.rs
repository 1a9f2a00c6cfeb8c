//! Mistakes that a protocol like this one can make. The model must see each.

/// One mistake, made on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A claim reads the slot, and writes it with a second command.
    GetThenSet,
    /// A store that knows no owners: a claim sent again finds its own slot taken.
    NoOwnerToken,
    /// A claim with the fingerprint of what is in flight is taken for a repetition.
    FingerprintAsOwner,
    /// A claim is not idempotent, and its client library sends it again by itself.
    SilentResend,
    /// A copy of a claim that comes after its execution was released wins again.
    LateCopyWins,
    /// Writes are not fenced.
    NoFence,
    /// A release is not fenced.
    ReleaseWithoutFence,
    /// What is in flight is deleted when its ttl is over, whether its lease is alive or not.
    ExpiryInFlight,
    /// The work begins although the lease lapsed before the claim's answer was read.
    BeginsUnsure,
    /// The answer of `WAIT` is not looked at.
    WaitIgnored,
    /// A claim that was withdrawn, or may have been, is sent again under the same owner.
    ClaimsAfterWithdrawing,
    /// A record is replayed although no replica has it.
    ReplaysUnreplicated,
}
