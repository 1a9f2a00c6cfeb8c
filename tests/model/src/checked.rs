//! The properties, by the names of the design.

use stateright::{Model, Property as Checked};

use crate::{Answer, Fault, Kept, Phase, Protocol, State, Step};

/// A property that every state must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// I1.
    OneOwner,
    /// I2.
    StaleWritesChangeNothing,
    /// I3.
    OneAnswer,
    /// I4.
    NoExecutionAfterTheRecord,
    /// I5.
    PayloadsApart,
    /// I8.
    RepetitionsAsTheFirst,
    /// What all of them are for.
    OneEffect,
    /// Nobody waits for ever.
    Answered,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OneOwner,
        Self::StaleWritesChangeNothing,
        Self::OneAnswer,
        Self::NoExecutionAfterTheRecord,
        Self::PayloadsApart,
        Self::RepetitionsAsTheFirst,
        Self::OneEffect,
        Self::Answered,
    ];

    /// What it says.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneOwner => "I1: at most one live owner, on the store's clock",
            Self::StaleWritesChangeNothing => "I2: a write with an old fence changes nothing",
            Self::OneAnswer => "I3: a record never changes, and everybody gets the same",
            Self::NoExecutionAfterTheRecord => {
                "I4: no execution begins between a record and its deletion"
            }
            Self::PayloadsApart => "I5: another payload neither runs nor is given the record",
            Self::RepetitionsAsTheFirst => "I8: a command sent again is answered as at first",
            Self::OneEffect => "one effect, and one more for each lapse, release or deletion",
            Self::Answered => "in the end everybody has an answer",
        }
    }

    fn checked(self) -> Checked<Protocol> {
        let name = self.name();
        match self {
            Self::OneOwner => Checked::always(name, |_, state: &State| {
                let owners = state.witness.alive.iter().zip(state.witness.told);
                owners.filter(|(alive, told)| **alive && *told).count() <= 1
            }),
            Self::StaleWritesChangeNothing => {
                Checked::always(name, |_, state: &State| !state.witness.stale_write)
            }
            Self::OneAnswer => Checked::always(name, |_, state: &State| !state.witness.two_answers),
            Self::NoExecutionAfterTheRecord => {
                Checked::always(name, |_, state: &State| !state.witness.ran_after_record)
            }
            Self::PayloadsApart => {
                Checked::always(name, |_, state: &State| !state.witness.mixed_up)
            }
            Self::RepetitionsAsTheFirst => {
                Checked::always(name, |_, state: &State| !state.witness.unlike_the_first)
            }
            Self::OneEffect => Checked::always(name, |_, state: &State| {
                state.witness.executions <= 1 + state.witness.excuses
            }),
            // No step leads back, so every run comes to an end, and there it is looked at.
            Self::Answered => Checked::eventually(name, |_, state: &State| {
                state.requests.iter().all(crate::Request::is_over)
            }),
        }
    }
}

/// A name, and whether a state has it.
pub type Outcome = (&'static str, fn(&Protocol, &State) -> bool);

/// What a run can come to: else the properties would hold of nothing.
pub const OUTCOMES: [Outcome; 7] = [
    ("a duplicate is in progress", |_, state| {
        is_answered(state, |answer| answer == Answer::InProgress)
    }),
    ("a duplicate is replayed", |_, state| {
        is_answered(state, |answer| matches!(answer, Answer::Replayed(_)))
    }),
    ("a record is replayed past its ttl", |_, state| {
        let kept = state.master.map(|slot| slot.kept);
        matches!(kept, Some(Kept::Completed { expired: true, .. }))
            && is_answered(state, |answer| matches!(answer, Answer::Replayed(_)))
    }),
    ("a lapsed claim is taken over", |protocol, state| {
        runs_again(state) && state.left.spent(protocol.bounds, Fault::Release) == 0
    }),
    (
        "a slot that was given back runs again",
        |protocol, state| runs_again(state) && state.left.spent(protocol.bounds, Fault::Lapse) == 0,
    ),
    ("an owner is fenced", |_, state| {
        let fenced = |request: &crate::Request| request.phase == Phase::Looking;
        state.requests.iter().any(fenced)
    }),
    ("another payload is refused", |_, state| {
        is_answered(state, |answer| answer == Answer::KeyReused)
    }),
];

fn is_answered(state: &State, wanted: impl Fn(Answer) -> bool) -> bool {
    let is_wanted = |phase| matches!(phase, Phase::Answered(answer) if wanted(answer));
    state
        .requests
        .iter()
        .any(|request| is_wanted(request.phase))
}

fn runs_again(state: &State) -> bool {
    let again = |phase| matches!(phase, Phase::Working(fence) if fence > 1);
    state.requests.iter().any(|request| again(request.phase))
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        Some(self.take(state, step))
    }

    fn properties(&self) -> Vec<Checked<Self>> {
        let properties = Property::ALL.iter().map(|property| property.checked());
        let outcomes = OUTCOMES
            .iter()
            .map(|(name, condition)| Checked::sometimes(name, *condition));
        properties.chain(outcomes).collect()
    }
}
