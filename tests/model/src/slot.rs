//! A slot, and the verbs of a store: each is one step.

use crate::{Fingerprint, Flaw, Id};

/// A slot that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// What its request asked.
    pub fingerprint: Fingerprint,
    /// Who claimed it last.
    pub owner: Id,
    /// It grows with every claim.
    pub fence: u8,
    /// What it is doing.
    pub kept: Kept,
}

/// What a slot is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// Its owner is at work.
    InFlight {
        /// The lease is over, by the store's clock.
        lapsed: bool,
    },
    /// It holds the record of this request.
    Completed {
        /// Whose answer it is.
        record: Id,
        /// The ttl is over.
        expired: bool,
    },
    /// It waits for a retry.
    Released,
}

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// See `Store::claim`.
    Claim,
    /// The second command of [`Flaw::GetThenSet`]: with the fence that the first has seen.
    Set(u8),
    /// See `Store::complete`: under this fence.
    Complete(u8),
    /// See `Store::release`: under this fence.
    Release(u8),
    /// See `Store::inspect`.
    Inspect,
}

/// What the store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    Claimed(u8),
    /// To the first command of [`Flaw::GetThenSet`]: nobody has it; the fence to write.
    Free(u8),
    InFlight,
    Mismatch,
    Completed(Id),
    Done,
    Fenced,
    /// To an inspection: nothing that this request could wait for.
    Nothing,
}

/// One verb of the request `id` on a slot.
pub(crate) fn apply(
    slot: &mut Option<Slot>,
    id: Id,
    fingerprint: Fingerprint,
    verb: Verb,
    flaw: Option<Flaw>,
) -> Reply {
    match verb {
        Verb::Claim => claim(slot, id, fingerprint, flaw),
        Verb::Set(fence) => {
            *slot = Some(in_flight(id, fingerprint, fence));
            Reply::Claimed(fence)
        }
        Verb::Complete(fence) => complete(slot.as_mut(), id, fence, flaw),
        Verb::Release(fence) => release(slot.as_mut(), id, fence, flaw),
        Verb::Inspect => inspect(slot.as_ref(), fingerprint),
    }
}

const fn in_flight(owner: Id, fingerprint: Fingerprint, fence: u8) -> Slot {
    Slot {
        fingerprint,
        owner,
        fence,
        kept: Kept::InFlight { lapsed: false },
    }
}

/// The table of `Store::claim`.
fn claim(slot: &mut Option<Slot>, id: Id, fingerprint: Fingerprint, flaw: Option<Flaw>) -> Reply {
    let fence = match slot {
        None => 1,
        Some(slot) => {
            if slot.fingerprint != fingerprint {
                return Reply::Mismatch;
            }
            let mine = match flaw {
                Some(Flaw::NoOwnerToken) => false,
                Some(Flaw::FingerprintAsOwner) => true,
                _ => slot.owner == id,
            };
            match &mut slot.kept {
                Kept::Completed { record, .. } => return Reply::Completed(*record),
                Kept::InFlight { lapsed } if mine => {
                    if flaw == Some(Flaw::SilentResend) {
                        slot.fence += 1;
                    }
                    *lapsed = false;
                    return Reply::Claimed(slot.fence);
                }
                Kept::InFlight { lapsed: false } => return Reply::InFlight,
                Kept::Released if mine && flaw != Some(Flaw::LateCopyWins) => {
                    return Reply::InFlight;
                }
                Kept::InFlight { lapsed: true } | Kept::Released => slot.fence + 1,
            }
        }
    };
    if flaw == Some(Flaw::GetThenSet) {
        return Reply::Free(fence);
    }
    *slot = Some(in_flight(id, fingerprint, fence));
    Reply::Claimed(fence)
}

fn is_held(slot: &Slot, id: Id, fence: u8) -> bool {
    slot.owner == id && slot.fence == fence
}

fn complete(slot: Option<&mut Slot>, id: Id, fence: u8, flaw: Option<Flaw>) -> Reply {
    match slot {
        Some(slot) if is_held(slot, id, fence) || flaw == Some(Flaw::NoFence) => match slot.kept {
            Kept::InFlight { .. } => {
                slot.kept = Kept::Completed {
                    record: id,
                    expired: false,
                };
                Reply::Done
            }
            Kept::Completed { .. } => Reply::Done,
            Kept::Released => Reply::Fenced,
        },
        _ => Reply::Fenced,
    }
}

fn release(slot: Option<&mut Slot>, id: Id, fence: u8, flaw: Option<Flaw>) -> Reply {
    let unfenced = matches!(flaw, Some(Flaw::NoFence | Flaw::ReleaseWithoutFence));
    match slot {
        Some(slot) if is_held(slot, id, fence) || unfenced => match slot.kept {
            Kept::InFlight { .. } => {
                slot.kept = Kept::Released;
                Reply::Done
            }
            Kept::Released => Reply::Done,
            Kept::Completed { .. } => Reply::Fenced,
        },
        _ => Reply::Fenced,
    }
}

fn inspect(slot: Option<&Slot>, fingerprint: Fingerprint) -> Reply {
    match slot {
        Some(slot) if slot.fingerprint == fingerprint => match slot.kept {
            Kept::Completed { record, .. } => Reply::Completed(record),
            Kept::InFlight { .. } => Reply::InFlight,
            Kept::Released => Reply::Nothing,
        },
        _ => Reply::Nothing,
    }
}
