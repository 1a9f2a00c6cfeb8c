//! What the scripts answer, in the words of the protocol.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{Checkpoint, Claim, Claimed, Fence, Resolved, Slot, SlotView, StoreError, Written};
use redis::Value;

use crate::{
    commands::Reply,
    error::{Trouble, corrupt, maybe_applied},
    layout::{LayoutError, Stored, attempt_of, number, steps},
};

/// The words of a reply: the first says what kind it is.
struct Words {
    server: String,
    kind: Bytes,
    rest: Vec<Bytes>,
}

impl Words {
    fn of(slot: Slot, reply: Reply) -> Result<Self, StoreError> {
        let server = reply.server;
        let mut words = Vec::with_capacity(reply.words.len());
        for word in reply.words {
            match word {
                Value::BulkString(bytes) => words.push(Bytes::from(bytes)),
                other => return Err(strange(&server, &format!("{other:.100?}"))),
            }
        }
        let rest = words.split_off(words.len().min(1));
        let kind = words.pop().unwrap_or_default();
        if kind == "unreadable" {
            let beginning = rest.first().map_or(&b""[..], |beginning| &beginning[..]);
            return Err(corrupt(slot, LayoutError::of(beginning)));
        }
        Ok(Self { server, kind, rest })
    }

    fn strange(&self) -> StoreError {
        let kind = &self.kind;
        strange(
            &self.server,
            &format!("{kind:?} with {} words", self.rest.len()),
        )
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

    /// A value that was read at a time.
    fn stored(&self, slot: Slot) -> Result<Stored, StoreError> {
        Stored::read(&self.bytes(1)?, self.number(0)?).map_err(|error| corrupt(slot, error))
    }
}

fn strange(server: &str, what: &str) -> StoreError {
    maybe_applied(Trouble::Strange {
        server: server.to_owned(),
        what: what.to_owned(),
    })
}

pub(crate) fn claim(slot: Slot, reply: Reply) -> Result<Claim, StoreError> {
    let words = Words::of(slot, reply)?;
    match &words.kind[..] {
        b"claimed" => {
            let steps = steps(&words.bytes(3)?).map_err(|error| corrupt(slot, error))?;
            Ok(Claim::Claimed(Claimed {
                fence: Fence::from_raw(words.number(0)?),
                attempt: attempt_of(words.text(1)?).ok_or_else(|| words.strange())?,
                taken_over: words.text(2)? == "t",
                checkpoints: steps
                    .into_iter()
                    .map(|(name, value)| Checkpoint { name, value })
                    .collect(),
            }))
        }
        b"in-flight" => Ok(Claim::InFlight {
            lease_left: words.millis(0)?,
        }),
        b"mismatch" => Ok(Claim::Mismatch),
        b"unknown" => Ok(Claim::Unknown),
        b"completed" => {
            let completed = words.stored(slot)?.completed();
            completed
                .map(Claim::Completed)
                .ok_or_else(|| words.strange())
        }
        _ => Err(words.strange()),
    }
}

/// A write that too few replicas have may be gone tomorrow, so it is not done;
/// sent again it is done as soon as they have it.
pub(crate) fn written(slot: Slot, reply: Reply) -> Result<Written, StoreError> {
    let acknowledged = reply.acknowledged;
    let words = Words::of(slot, reply)?;
    match &words.kind[..] {
        b"done" if acknowledged.is_enough() => Ok(Written::Done),
        b"done" => Err(maybe_applied(Trouble::NotReplicated {
            reached: acknowledged.reached,
            wanted: acknowledged.wanted,
        })),
        b"fenced" => Ok(Written::Fenced),
        _ => Err(words.strange()),
    }
}

pub(crate) fn resolved(slot: Slot, reply: Reply) -> Result<Resolved, StoreError> {
    let acknowledged = reply.acknowledged;
    let words = Words::of(slot, reply)?;
    match &words.kind[..] {
        b"done" if acknowledged.is_enough() => Ok(Resolved::Done),
        b"done" => Err(maybe_applied(Trouble::NotReplicated {
            reached: acknowledged.reached,
            wanted: acknowledged.wanted,
        })),
        b"moved" => Ok(Resolved::Moved),
        b"owned" => Ok(Resolved::StillOwned {
            lease_left: words.millis(0)?,
        }),
        _ => Err(words.strange()),
    }
}

pub(crate) fn view(slot: Slot, reply: Reply) -> Result<Option<SlotView>, StoreError> {
    let words = Words::of(slot, reply)?;
    match &words.kind[..] {
        b"absent" => Ok(None),
        b"present" => {
            let view = words.stored(slot)?.view(slot);
            view.map(Some).map_err(|error| corrupt(slot, error))
        }
        _ => Err(words.strange()),
    }
}
