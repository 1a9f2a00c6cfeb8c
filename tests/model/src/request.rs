//! Where a request stands.

use crate::{
    Flaw, Id,
    slot::{Reply, Verb},
};

/// A request: its process's part in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    /// What it is at.
    pub phase: Phase,
    /// What it waits for.
    pub call: Call,
}

/// What a request is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Its client has not sent it yet.
    ToCome,
    /// It asks for its slot.
    Claiming,
    /// Too few replicas have its claim: it takes it back.
    Withdrawing,
    /// Its handler runs.
    Working(u8),
    /// It has an answer to record.
    Completing(u8),
    /// It has an answer that is not kept.
    Releasing(u8),
    /// It was fenced, and looks for what another has recorded.
    Looking,
    /// It was refused, and what its claim may have won is given back.
    Settling,
    /// Its client has an answer.
    Answered(Answer),
    /// Its node died.
    Dead,
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Its handler's answer, which is recorded.
    Recorded,
    /// Its handler's answer, which is not kept.
    NotKept,
    /// This request's recorded answer.
    Replayed(Id),
    /// The same request runs.
    InProgress,
    /// The slot belongs to another payload.
    KeyReused,
    /// The store has not taken the claim.
    Unavailable,
}

/// A call of the store: there is at most one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    None,
    /// It is on its way.
    Sent(Verb),
    /// It is applied, and the reply is on its way.
    Replied {
        verb: Verb,
        reply: Reply,
        /// The replicas that are asked for have what was written before it.
        replicated: bool,
        /// The request's lease has lapsed since.
        lapsed: bool,
    },
}

impl Request {
    pub(crate) const TO_COME: Self = Self {
        phase: Phase::ToCome,
        call: Call::None,
    };

    pub(crate) const fn asks(&mut self, phase: Phase, verb: Verb) {
        self.phase = phase;
        self.call = Call::Sent(verb);
    }

    pub(crate) const fn ends(&mut self, phase: Phase) {
        self.phase = phase;
        self.call = Call::None;
    }

    /// It has no answer, and asks for the same again; but not of a withdrawal, which
    /// may be done later than whatever comes next.
    pub(crate) const fn repeats(&mut self, flaw: Option<Flaw>) {
        if let Call::Sent(verb) | Call::Replied { verb, .. } = self.call {
            match (self.phase, flaw) {
                (Phase::Withdrawing, Some(Flaw::ClaimsAfterWithdrawing)) => {
                    self.asks(Phase::Claiming, Verb::Claim);
                }
                (Phase::Withdrawing, _) => self.ends(Phase::Answered(Answer::Unavailable)),
                (phase, _) => self.asks(phase, verb),
            }
        }
    }

    /// Too few replicas have what was written before the reply: a claim is taken
    /// back, and anything else is asked for again.
    pub(crate) const fn falls_short(&mut self) {
        match (self.phase, self.call) {
            (
                Phase::Claiming,
                Call::Replied {
                    reply: Reply::Claimed(fence),
                    ..
                },
            ) => self.asks(Phase::Withdrawing, Verb::Release(fence)),
            _ => self.repeats(None),
        }
    }

    /// The server that it waits for is gone. A command that has not arrived there goes
    /// to the next one.
    pub(crate) const fn loses_its_server(&mut self, flaw: Option<Flaw>) {
        if matches!(self.call, Call::Replied { .. }) || matches!(self.phase, Phase::Withdrawing) {
            self.repeats(flaw);
        }
    }

    /// Nothing will come of it any more, unless its commands are still on their way.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Answered(_) | Phase::Dead)
    }
}
