//! What a slot looks like at the server, and how it is read here.
//!
//! # Version 1
//!
//! One slot is one key, `<namespace>:<64 hexadecimal digits>`, with one string
//! value: a line of text, then the body. `GET` shows it as it is, and `PTTL`
//! (or `PEXPIRETIME`) the time:
//!
//! ```text
//! idem1 in-flight 2 2 t 1f0c…(32) 9ab3…(64) 172800000\n<steps>
//! idem1 completed 1 1 - 1f0c…(32) 9ab3…(64) 86400000\n<record>
//! │     │         │ │ │ │         │         │
//! │     state     │ │ │ owner     │         span, in milliseconds
//! version         │ │ flags       fingerprint
//!             fence attempt
//! ```
//!
//! | state | body | the key expires | so `PTTL` − span is |
//! | --- | --- | --- | --- |
//! | `in-flight` | steps | span after the lease | what is left of the lease |
//! | `completed` | record | span (the grace) after the ttl | what is left of the ttl |
//! | `released` | steps | at the end of the ttl, with span 0 | what is left of the ttl |
//!
//! So the time of a slot is its key's expiry: on the server's clock, carried
//! over to replicas and into files as an absolute time, and there without one
//! more command. A key whose expiry somebody has taken away has no time, and is
//! refused like one that cannot be read.
//!
//! Flags are `-` or letters: `t`, the newest claim took over from an owner that
//! fell silent; `r`, nobody takes over until an operator has resolved it (the
//! span is 3,000 years then). A step is
//! `<bytes of name> <bytes of value>\n<name><value>\n`.
//!
//! Another version is refused, never guessed at: see [`LayoutError`]. The
//! version is not in the key's name, because a slot that nobody finds is a slot
//! that runs again.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    ClaimRequest, Completed, Fence, Fingerprint, OnCrash, OwnerId, Slot, SlotState, SlotView,
    StateKind, Under,
};

/// No header is longer, so that many can be read without their bodies.
pub(crate) const LONGEST_HEADER: isize = 256;

/// Why a value is not a slot of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// An idem that is newer than this one wrote it.
    #[error(
        "it has the layout idem{0}, and this build reads idem1: another version of idem writes to this Redis; let every node run a version that reads idem{0} before one writes it"
    )]
    Version(u32),
    /// Something else wrote it, or it was damaged.
    #[error(
        "it is not a slot of idem (it begins with `{beginning}`): another program writes under these keys, or the value is damaged; give idem a namespace of its own, look at the value with GET, and delete it only if its effect is known not to have happened"
    )]
    Foreign {
        /// How the value begins.
        beginning: String,
    },
    /// Its key does not expire.
    #[error(
        "its key has no expiry, and with it the slot has no time: something has taken it away (PERSIST, or a copy without its ttl); give it one with PEXPIRE"
    )]
    NoExpiry,
    /// A key holds something that is no string.
    #[error(
        "its key holds no string: another program writes under these keys; give idem a namespace of its own"
    )]
    WrongType,
}

impl LayoutError {
    /// What is wrong with a value that could not be read.
    pub(crate) fn of(value: &[u8]) -> Self {
        let first = value.split(|byte| *byte == b' ').next();
        let version = first
            .and_then(|first| first.strip_prefix(b"idem"))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok());
        match version {
            Some(version) if version != 1 => Self::Version(version),
            _ => Self::Foreign {
                beginning: value[..value.len().min(24)].escape_ascii().to_string(),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InFlight,
    Completed,
    Released,
}

/// How long a slot outlives its lease that nobody may take over.
pub(crate) const FOR_EVER: u64 = 100_000_000_000_000;

/// A slot as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    state: State,
    fence: Fence,
    attempt: u32,
    refuse: bool,
    fingerprint: Fingerprint,
    /// Until the key expires, in milliseconds.
    expiry: u64,
    span: u64,
    body: Bytes,
}

impl Stored {
    /// Reads a value, or the beginning of one with its whole header, and its
    /// key's `PTTL`.
    pub(crate) fn read(value: &Bytes, expiry: i64) -> Result<Self, LayoutError> {
        let foreign = || LayoutError::of(value);
        let end = value
            .iter()
            .take(LONGEST_HEADER.unsigned_abs())
            .position(|byte| *byte == b'\n')
            .ok_or_else(foreign)?;
        let header = std::str::from_utf8(&value[..end]).map_err(|_| foreign())?;
        let fields: Vec<&str> = header.split(' ').collect();
        let [
            "idem1",
            state,
            fence,
            attempt,
            flags,
            owner,
            fingerprint,
            span,
        ] = fields[..]
        else {
            return Err(foreign());
        };
        let state = match state {
            "in-flight" => State::InFlight,
            "completed" => State::Completed,
            "released" => State::Released,
            _ => return Err(foreign()),
        };
        // The owner is the server's business; a damaged one is damage all the same.
        unhex::<16>(owner).ok_or_else(foreign)?;
        Ok(Self {
            state,
            fence: fence_of(fence).ok_or_else(foreign)?,
            attempt: attempt_of(attempt).ok_or_else(foreign)?,
            refuse: flags.contains('r'),
            fingerprint: Fingerprint::from_bytes(unhex(fingerprint).ok_or_else(foreign)?),
            expiry: u64::try_from(expiry).map_err(|_| LayoutError::NoExpiry)?,
            span: number(span).ok_or_else(foreign)?,
            body: value.slice(end + 1..),
        })
    }

    /// What is left of the lease, or of the ttl.
    fn left(&self) -> Duration {
        Duration::from_millis(self.expiry.saturating_sub(self.span))
    }

    /// What a claim is told of a completed slot.
    pub(crate) fn completed(self) -> Option<Completed> {
        let left = self.left();
        let expired = left.is_zero();
        (self.state == State::Completed).then_some(Completed {
            expired,
            remaining: if expired {
                Duration::from_millis(self.expiry)
            } else {
                left
            },
            record: self.body,
            under: Under::Slot,
        })
    }

    /// What the slot is doing.
    pub(crate) fn kind(&self) -> StateKind {
        match (self.state, self.left().is_zero(), self.refuse) {
            (State::Completed, ..) => StateKind::Completed,
            (State::Released, ..) => StateKind::Released,
            (State::InFlight, false, _) => StateKind::InFlight,
            (State::InFlight, true, false) => StateKind::Lapsed,
            (State::InFlight, true, true) => StateKind::Unknown,
        }
    }

    /// What an operator is shown.
    pub(crate) fn view(self, slot: Slot) -> Result<SlotView, LayoutError> {
        let state = match self.kind() {
            StateKind::InFlight => SlotState::InFlight {
                lease_left: self.left(),
            },
            StateKind::Lapsed => SlotState::Lapsed,
            StateKind::Unknown => SlotState::Unknown,
            StateKind::Completed => SlotState::Completed {
                record: self.body.clone(),
                expired: self.left().is_zero(),
            },
            StateKind::Released => SlotState::Released,
        };
        let checkpoints = match self.state {
            State::Completed => Vec::new(),
            State::InFlight | State::Released => {
                let steps = steps(&self.body)?;
                steps.into_iter().map(|(name, _)| name).collect()
            }
        };
        // Only an operator ends what nobody may take over.
        let endless = self.state == State::InFlight && self.refuse;
        Ok(SlotView {
            slot,
            state,
            fingerprint: self.fingerprint,
            fence: self.fence,
            attempt: self.attempt,
            checkpoints,
            deleted_in: (!endless).then(|| Duration::from_millis(self.expiry)),
        })
    }
}

/// The value of a slot that was claimed for the first time, and how long its
/// key lives if nothing more comes, in milliseconds.
pub(crate) fn first(request: &ClaimRequest) -> (String, u64) {
    let (flag, span) = match request.on_crash {
        OnCrash::TakeOver => ('-', millis(request.retention.total())),
        OnCrash::Refuse => ('r', FOR_EVER),
    };
    let value = format!(
        "idem1 in-flight 1 1 {flag} {} {} {span}\n",
        hex(request.owner.as_bytes()),
        hex(request.fingerprint.as_bytes()),
    );
    (value, lifetime(millis(request.lease) + span))
}

/// A key cannot live for no time at all.
pub(crate) fn lifetime(millis: u64) -> u64 {
    millis.max(1)
}

/// The steps of a body, by name, in the order they were first written.
pub(crate) fn steps(body: &Bytes) -> Result<Vec<(String, Bytes)>, LayoutError> {
    let damaged = || LayoutError::of(body);
    let mut steps = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let line = body[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(damaged)?;
        let sizes = std::str::from_utf8(&body[at..at + line]).map_err(|_| damaged())?;
        let (name, value) = sizes.split_once(' ').ok_or_else(damaged)?;
        let size = |text: &str| number(text).and_then(|size| usize::try_from(size).ok());
        let name_at = at + line + 1;
        let value_at = size(name)
            .and_then(|size| name_at.checked_add(size))
            .ok_or_else(damaged)?;
        let end = size(value)
            .and_then(|size| value_at.checked_add(size))
            .ok_or_else(damaged)?;
        // The byte at `end` is the line feed after the value.
        if body.get(end) != Some(&b'\n') {
            return Err(damaged());
        }
        let name = String::from_utf8(body[name_at..value_at].to_vec()).map_err(|_| damaged())?;
        steps.push((name, body.slice(value_at..end)));
        at = end + 1;
    }
    Ok(steps)
}

/// Digits and nothing else: `parse` alone would take a sign.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The first claim has fence 1.
pub(crate) fn fence_of(text: &str) -> Option<Fence> {
    number(text).filter(|fence| *fence > 0).map(Fence::from_raw)
}

/// The first attempt is 1. One that does not fit counts as the last that does.
pub(crate) fn attempt_of(text: &str) -> Option<u32> {
    let attempt = number(text).filter(|attempt| *attempt > 0);
    attempt.map(|attempt| u32::try_from(attempt).unwrap_or(u32::MAX))
}

/// Durations are whole milliseconds at the server, and never shorter than they
/// were asked for. Beyond 3,000 years Lua's numbers would not hold their sum.
pub(crate) fn millis(duration: Duration) -> u64 {
    let whole = duration.as_nanos().div_ceil(1_000_000);
    u64::try_from(whole).map_or(FOR_EVER, |whole| whole.min(FOR_EVER))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]));
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(digits);
    text
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// How an owner is written.
pub(crate) fn owner(owner: &OwnerId) -> String {
    hex(owner.as_bytes())
}

/// The slot that a key of this namespace names; `None` for any other key.
pub(crate) fn slot_of(key: &[u8], prefix: &str) -> Option<Slot> {
    let name = key.strip_prefix(prefix.as_bytes())?;
    unhex(std::str::from_utf8(name).ok()?).map(Slot::from_bytes)
}

#[cfg(test)]
mod tests;
