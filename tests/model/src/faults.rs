//! What goes wrong, and how often at the most.

/// What can go wrong, or go on, in the midst of everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A reply is lost, a command comes late or twice, too few replicas answer in time.
    Network,
    /// A verb's deadline is over, and its request is refused.
    Deadline,
    /// A lease lapses: its owner is dead, stopped, or out of the store's reach.
    Lapse,
    /// A node dies, and is started again.
    Crash,
    /// The replica takes over from the master.
    Failover,
    /// A handler's answer is not to be kept.
    Release,
    /// A request waits for another, instead of being told that it is in progress.
    Wait,
    /// A slot's time is over, and it is physically deleted.
    Deletion,
}

const FAULTS: usize = 8;

/// How often each [`Fault`] can happen: in a state, how often it still can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bounds([u8; FAULTS]);

impl Bounds {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn none() -> Self {
        Self([0; FAULTS])
    }

    /// These bounds, and `fault` at most `times`.
    #[must_use]
    pub const fn with(mut self, fault: Fault, times: u8) -> Self {
        self.0[fault as usize] = times;
        self
    }

    pub(crate) const fn allow(self, fault: Fault) -> bool {
        self.0[fault as usize] > 0
    }

    /// How often `fault` has happened, of what was allowed at first.
    pub(crate) const fn spent(self, at_first: Self, fault: Fault) -> u8 {
        at_first.0[fault as usize] - self.0[fault as usize]
    }

    /// One of them happens.
    pub(crate) const fn spend(&mut self, fault: Fault) {
        self.0[fault as usize] -= 1;
    }
}
