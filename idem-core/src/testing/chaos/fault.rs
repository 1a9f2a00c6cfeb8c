//! What can go wrong with one command.

use std::time::Duration;

/// A verb of [`Store`](crate::Store).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// [`claim`](crate::Store::claim)
    Claim,
    /// [`renew`](crate::Store::renew)
    Renew,
    /// [`checkpoint`](crate::Store::checkpoint)
    Checkpoint,
    /// [`complete`](crate::Store::complete)
    Complete,
    /// [`release`](crate::Store::release)
    Release,
    /// [`inspect`](crate::Store::inspect)
    Inspect,
    /// [`list`](crate::Store::list)
    List,
    /// [`resolve`](crate::Store::resolve)
    Resolve,
    /// [`health`](crate::Store::health)
    Health,
    /// [`spend`](crate::Store::spend)
    Spend,
}

/// What goes wrong with one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It reaches the store late. A caller that gives up before has sent nothing.
    DelayBefore(Duration),
    /// It is applied at once, and its reply comes late.
    DelayAfter(Duration),
    /// It is not applied, and the error says so.
    FailBefore,
    /// It is not applied, and the error does not say so.
    LoseCommand,
    /// It is applied, and its reply is lost.
    FailAfter,
    /// It is not applied, and nothing ever comes back.
    HangBefore,
    /// It is applied, and nothing ever comes back.
    HangAfter,
    /// Its caller is told that the connection broke, and then it is applied
    /// all the same: a slow network delivers it when nobody expects it any more.
    Late(Duration),
    /// It is applied twice, as by a client library that silently sends again,
    /// and answered as the second time.
    Twice,
    /// The store refuses it, and would refuse it again. Never drawn from a seed.
    Refuse,
    /// What the store holds for its slot cannot be read (a command without a
    /// slot is refused). Never drawn from a seed.
    Corrupt,
}

/// The error that an injected fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{verb:?} met the injected fault {fault:?}")]
pub struct InjectedFault {
    /// The command.
    pub verb: Verb,
    /// What was done to it.
    pub fault: Fault,
}

/// How often something goes wrong by a seeded plan, and how badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odds {
    /// Faults out of 100 commands; each kind of fault is as likely as any other.
    pub percent: u8,
    /// The longest delay that is drawn.
    pub longest_delay: Duration,
    /// Whether commands may hang for ever.
    pub hang: bool,
}

impl Default for Odds {
    /// 20 %, delays of up to 200 ms, hanging included.
    fn default() -> Self {
        Self {
            percent: 20,
            longest_delay: Duration::from_millis(200),
            hang: true,
        }
    }
}
