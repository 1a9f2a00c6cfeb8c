//! The protocol as a model that is small enough to look at every state it can reach.
//!
//! Three requests for one slot, on two nodes, over one store. Whatever can come between
//! two steps of the protocol is a step of its own here: a command that arrives late or
//! twice, a reply that is lost, a lease that lapses, a node that dies, a master that is
//! replaced. Each is taken at most as often as the [`Bounds`] say, in every order.
//!
//! | file | what it is the model of |
//! | --- | --- |
//! | `slot.rs` | a slot and the verbs of a store: `idem-core/src/store.rs`, `idem-redis/src/scripts/` |
//! | `request.rs` | where a request stands: `idem-core/src/runtime/{admit,run,hold,commands}.rs` |
//! | `steps.rs` | every step that can be taken |
//! | `faults.rs` | what goes wrong, and how often at the most |
//! | `witness.rs` | what has been seen that must not be |
//! | `checked.rs` | the properties, by the names of the design |
//! | `flaw.rs` | the mistakes that a protocol like this one can make |
//!
//! What is left out: time is only an order of events, so a process that is stopped is one
//! whose lease lapses; steps within a handler and transactions have tests of their own.

#![forbid(unsafe_code)]

mod checked;
mod faults;
mod flaw;
mod request;
mod slot;
mod steps;
mod witness;

pub use self::{
    checked::{OUTCOMES, Outcome, Property},
    faults::{Bounds, Fault},
    flaw::Flaw,
    request::{Answer, Phase, Request},
    slot::{Kept, Slot, Verb},
    steps::{Protocol, State, Step},
    witness::Witness,
};

/// How many requests there are.
pub const REQUESTS: usize = 3;

/// A request, and so also its owner token, its handler's answer and its record: each
/// request draws a token of its own and executes at most once.
pub type Id = usize;

/// What a request asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fingerprint {
    /// What most ask.
    Same,
    /// Another payload under the same key.
    Other,
}
