//! A slot for people, and as JSON. Nothing of its record is in either.

use idem_core::record::Unopened;
use idem_core::{Seal, SlotState, SlotView, StateKind};
use serde::Serialize;

use super::{
    output::{count, duration, harmless, milliseconds},
    table::Table,
};

/// A state as it is typed and printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StateName {
    /// Its owner is at work
    InFlight,
    /// Its owner is silent, and the next request takes over
    Lapsed,
    /// Its owner is silent, and an operator has to resolve it (`on_crash = "refuse"`)
    Unknown,
    /// It has a record
    Completed,
    /// It waits for a retry
    Released,
}

impl StateName {
    pub(crate) const fn kind(self) -> StateKind {
        match self {
            Self::InFlight => StateKind::InFlight,
            Self::Lapsed => StateKind::Lapsed,
            Self::Unknown => StateKind::Unknown,
            Self::Completed => StateKind::Completed,
            Self::Released => StateKind::Released,
        }
    }

    pub(crate) const fn of(state: &SlotState) -> Self {
        match state.kind() {
            StateKind::InFlight => Self::InFlight,
            StateKind::Lapsed => Self::Lapsed,
            StateKind::Unknown => Self::Unknown,
            StateKind::Completed => Self::Completed,
            StateKind::Released => Self::Released,
        }
    }
}

/// What is kept of a slot that has been seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    pub(crate) slot: String,
    pub(crate) short: String,
    pub(crate) state: StateName,
    /// Of one in flight.
    pub(crate) lease_left_ms: Option<u64>,
    /// Of a completed one: whether its ttl has passed.
    pub(crate) expired: Option<bool>,
    /// Of a completed one.
    pub(crate) record_bytes: Option<usize>,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    /// The finished ones.
    pub(crate) steps: Vec<String>,
    /// `null`: never.
    pub(crate) deleted_in_ms: Option<u64>,
}

impl From<&SlotView> for Seen {
    fn from(view: &SlotView) -> Self {
        let (mut lease_left_ms, mut is_expired, mut record_bytes) = (None, None, None);
        match &view.state {
            SlotState::InFlight { lease_left } => lease_left_ms = Some(milliseconds(*lease_left)),
            SlotState::Completed { record, expired } => {
                is_expired = Some(*expired);
                record_bytes = Some(record.len());
            }
            SlotState::Lapsed | SlotState::Unknown | SlotState::Released => {}
        }
        Self {
            slot: view.slot.to_string(),
            short: view.slot.short().to_string(),
            state: StateName::of(&view.state),
            lease_left_ms,
            expired: is_expired,
            record_bytes,
            attempt: view.attempt,
            fence: view.fence.get(),
            steps: view.checkpoints.clone(),
            deleted_in_ms: view.deleted_in.map(milliseconds),
        }
    }
}

/// How a record is kept.
#[derive(Debug, Serialize)]
pub(crate) struct Sealed {
    /// The name of the key that it is sealed under.
    sealed_under: Option<String>,
    /// Why it does not open.
    unopened: Option<String>,
}

impl From<&Seal> for Sealed {
    fn from(seal: &Seal) -> Self {
        let (key, unopened) = match seal {
            Seal::None => (None, None),
            Seal::Opened(key) => (Some(key), None),
            Seal::Unopened(error) => (error.key(), Some(error.to_string())),
        };
        Self {
            sealed_under: key.map(ToString::to_string),
            unopened,
        }
    }
}

/// The same for people; `None` for what is not sealed.
pub(crate) fn sealed(seal: &Seal) -> Option<String> {
    match seal {
        Seal::None => None,
        Seal::Opened(key) => Some(format!("under the key \"{key}\", and open")),
        Seal::Unopened(error) => Some(match (&error.reason, error.key()) {
            (Unopened::NoKeyring { .. } | Unopened::UnknownKey { .. }, Some(key)) => format!(
                "under the key \"{key}\": say --encryption-key {key}=…, or IDEM_ENCRYPTION_KEYS, to see it"
            ),
            _ => error.to_string(),
        }),
    }
}

/// In a few words.
pub(crate) fn state_in_short(state: &SlotState) -> String {
    match state {
        SlotState::InFlight { lease_left } => {
            format!("in flight, lease {}", duration(*lease_left))
        }
        SlotState::Lapsed => "lapsed".to_owned(),
        SlotState::Unknown => "unknown".to_owned(),
        SlotState::Completed { expired: true, .. } => "completed, expired".to_owned(),
        SlotState::Completed { .. } => "completed".to_owned(),
        SlotState::Released => "released".to_owned(),
    }
}

/// What it means.
fn state_in_full(state: &SlotState) -> String {
    match state {
        SlotState::InFlight { lease_left } => format!(
            "in flight: its owner is at work, {} of its lease are left",
            duration(*lease_left)
        ),
        SlotState::Lapsed => {
            "lapsed: its owner is silent, and the next request takes over".to_owned()
        }
        SlotState::Unknown => "unknown: its owner is silent, nobody knows whether the effect \
             happened, and nobody takes over"
            .to_owned(),
        SlotState::Completed { expired: true, .. } => {
            "completed, expired: its ttl has passed, and retries still get its record".to_owned()
        }
        SlotState::Completed { .. } => "completed: retries get its record".to_owned(),
        SlotState::Released => "released: it waits for a retry, which runs".to_owned(),
    }
}

pub(crate) fn kept(view: &SlotView) -> String {
    match view.deleted_in {
        Some(left) => duration(left),
        None => "for ever".to_owned(),
    }
}

/// Everything but its record.
pub(crate) fn card(view: &SlotView) -> Table {
    let mut facts = Table::of_facts();
    facts.fact("slot", view.slot.to_string());
    facts.fact("state", state_in_full(&view.state));
    facts.fact("attempt", view.attempt.to_string());
    facts.fact("fence", view.fence.to_string());
    if !view.checkpoints.is_empty() {
        facts.fact("steps", harmless(&view.checkpoints.join(", ")));
    }
    if let SlotState::Completed { record, .. } = &view.state {
        facts.fact("record", count(record.len() as u64, "byte"));
    }
    facts.fact("kept", kept(view));
    facts
}

/// Whether an operator can resolve it now.
pub(crate) const fn is_resolvable(state: &SlotState) -> bool {
    matches!(
        state,
        SlotState::Lapsed | SlotState::Unknown | SlotState::Released
    )
}
