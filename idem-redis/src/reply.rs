//! What the scripts answer, in the words of the protocol.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Claimed, Resolved, Slot, SlotView, Spent, StoreError, Under,
    Written,
};
use redis::Value;

use crate::{
    commands::{Answer, Reply},
    connect::{Acknowledged, Master},
    error::{Trouble, corrupt, maybe_applied, not_applied},
    layout::{LayoutError, Stored, attempt_of, fence_of, number, steps},
};

/// The words of a reply: the first says what kind it is.
struct Words {
    master: Arc<Master>,
    kind: Bytes,
    rest: Vec<Bytes>,
}

impl Words {
    fn of(slot: Slot, master: Arc<Master>, reply: Vec<Value>) -> Result<Self, StoreError> {
        let mut words = Vec::with_capacity(reply.len());
        for word in reply {
            match word {
                Value::BulkString(bytes) => words.push(Bytes::from(bytes)),
                other => return Err(strange(&master, format!("{other:.100?}"))),
            }
        }
        let rest = words.split_off(words.len().min(1));
        let kind = words.pop().unwrap_or_default();
        if kind == "unreadable" {
            let beginning = rest.first().map_or(&b""[..], |beginning| &beginning[..]);
            return Err(corrupt(slot, LayoutError::of(beginning)));
        }
        if kind == "timeless" {
            return Err(corrupt(slot, LayoutError::NoExpiry));
        }
        Ok(Self { master, kind, rest })
    }

    fn strange(&self) -> StoreError {
        let (kind, more) = (&self.kind, self.rest.len());
        strange(&self.master, format!("{kind:?} with {more} words"))
    }

    fn number(&self, index: usize) -> Result<u64, StoreError> {
        number(self.text(index)?).ok_or_else(|| self.strange())
    }

    fn text(&self, index: usize) -> Result<&str, StoreError> {
        let word = self.rest.get(index).ok_or_else(|| self.strange())?;
        std::str::from_utf8(word).map_err(|_| self.strange())
    }

    fn millis(&self, index: usize) -> Result<Duration, StoreError> {
        self.number(index).map(Duration::from_millis)
    }

    fn bytes(&self, index: usize) -> Result<Bytes, StoreError> {
        self.rest.get(index).cloned().ok_or_else(|| self.strange())
    }

    /// A value and its key's `PTTL`.
    fn stored(&self, slot: Slot) -> Result<Stored, StoreError> {
        let expiry = self.text(0)?.parse().map_err(|_| self.strange())?;
        Stored::read(&self.bytes(1)?, expiry).map_err(|error| corrupt(slot, error))
    }
}

fn strange(master: &Master, what: String) -> StoreError {
    let server = master.name.clone();
    maybe_applied(Trouble::Strange { server, what })
}

/// A claim by two names says first if it is the other one's; a claim by one has no other.
pub(crate) fn claim(request: &ClaimRequest, mut reply: Reply) -> Result<Claim, StoreError> {
    let mut under = Under::Slot;
    if request.alias.is_some()
        && let Answer::Words(words) = &mut reply.answer
        && matches!(&words[..], [Value::BulkString(first), ..] if first == b"alias")
    {
        words.remove(0);
        under = Under::Alias;
    }
    let claim = claim_of(request.under(under).slot, reply)?;
    Ok(claim.found_under(under))
}

fn claim_of(slot: Slot, reply: Reply) -> Result<Claim, StoreError> {
    let words = match reply.answer {
        Answer::Done => {
            return Ok(Claim::Claimed(Claimed::first()));
        }
        Answer::Words(words) => Words::of(slot, reply.master, words)?,
    };
    match (&words.kind[..], words.rest.len()) {
        (b"claimed", 4) => {
            let steps = steps(&words.bytes(3)?).map_err(|error| corrupt(slot, error))?;
            Ok(Claim::Claimed(Claimed {
                fence: fence_of(words.text(0)?).ok_or_else(|| words.strange())?,
                attempt: attempt_of(words.text(1)?).ok_or_else(|| words.strange())?,
                taken_over: match words.text(2)? {
                    "t" => true,
                    "-" => false,
                    _ => return Err(words.strange()),
                },
                checkpoints: steps
                    .into_iter()
                    .map(|(name, value)| Checkpoint { name, value })
                    .collect(),
                under: Under::Slot,
            }))
        }
        (b"in-flight", 1) => Ok(Claim::InFlight {
            lease_left: words.millis(0)?,
        }),
        (b"mismatch", 0) => Ok(Claim::Mismatch),
        (b"unknown", 0) => Ok(Claim::Unknown),
        (b"completed", 2) => {
            let completed = words.stored(slot)?.completed();
            completed
                .map(Claim::Completed)
                .ok_or_else(|| words.strange())
        }
        _ => Err(words.strange()),
    }
}

/// A record that too few replicas have is not shown: nothing was written, and asked for
/// again it is shown as soon as they have it.
pub(crate) fn unreplicated(acknowledged: Acknowledged) -> StoreError {
    not_applied(Trouble::NotReplicated {
        reached: acknowledged.reached,
        wanted: acknowledged.wanted,
    })
}

/// A write that too few replicas have may be gone tomorrow, so it is not done;
/// sent again it is done as soon as they have it.
fn replicated(acknowledged: Acknowledged) -> Result<(), StoreError> {
    if acknowledged.is_enough() {
        return Ok(());
    }
    Err(maybe_applied(Trouble::NotReplicated {
        reached: acknowledged.reached,
        wanted: acknowledged.wanted,
    }))
}

pub(crate) fn written(slot: Slot, reply: Reply) -> Result<Written, StoreError> {
    let words = match reply.answer {
        Answer::Done => return replicated(reply.acknowledged).map(|()| Written::Done),
        Answer::Words(words) => Words::of(slot, reply.master, words)?,
    };
    match (&words.kind[..], words.rest.len()) {
        (b"fenced", 0) => Ok(Written::Fenced),
        _ => Err(words.strange()),
    }
}

pub(crate) fn resolved(slot: Slot, reply: Reply) -> Result<Resolved, StoreError> {
    let words = match reply.answer {
        Answer::Done => return replicated(reply.acknowledged).map(|()| Resolved::Done),
        Answer::Words(words) => Words::of(slot, reply.master, words)?,
    };
    match (&words.kind[..], words.rest.len()) {
        (b"moved", 0) => Ok(Resolved::Moved),
        (b"owned", 1) => Ok(Resolved::StillOwned {
            lease_left: words.millis(0)?,
        }),
        _ => Err(words.strange()),
    }
}

pub(crate) fn view(slot: Slot, reply: Reply) -> Result<Option<SlotView>, StoreError> {
    let words = match reply.answer {
        Answer::Done => return Err(strange(&reply.master, "a bare 1".to_owned())),
        Answer::Words(words) => Words::of(slot, reply.master, words)?,
    };
    match (&words.kind[..], words.rest.len()) {
        (b"absent", 0) => Ok(None),
        (b"present", 2) => {
            let view = words.stored(slot)?.view(slot);
            view.map(Some).map_err(|error| corrupt(slot, error))
        }
        _ => Err(words.strange()),
    }
}

pub(crate) fn spent(reply: Reply) -> Result<Spent, StoreError> {
    let Reply { answer, master, .. } = reply;
    let Answer::Words(words) = &answer else {
        return Err(strange(&master, "a bare 1".to_owned()));
    };
    let word = |word: &Value| match word {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok().and_then(number),
        _ => None,
    };
    match words[..] {
        [ref total, ref left] => word(total).zip(word(left)),
        _ => None,
    }
    .map(|(total, left)| Spent {
        total,
        resets_in: Duration::from_millis(left),
    })
    .ok_or_else(|| strange(&master, format!("{words:.100?}")))
}
