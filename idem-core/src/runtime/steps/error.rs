//! Why a step has no result.

use crate::StoreError;

/// Why [`Steps::run`](super::Steps::run) has no result.
#[derive(Debug, thiserror::Error)]
pub enum StepError<E> {
    /// The step itself failed. Nothing of it is kept: it may be run again, now or
    /// by a retry.
    #[error(transparent)]
    Work(E),
    /// The work must end: whatever it answers is not recorded.
    #[error(transparent)]
    Steps(#[from] StepsError),
}

/// Why no step may run any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepsError {
    /// Another execution has taken over: going on would do everything twice.
    #[error("another execution has taken over; end this one")]
    Fenced,
    /// The work has ended, and left something behind that goes on with its steps.
    #[error(
        "the execution has ended before the step \"{step}\" began; await all steps before the work ends"
    )]
    Over {
        /// Which step.
        step: String,
    },
    /// The store does not say whether the claim still holds, or has not kept the
    /// result. A retry goes on from the last step that was kept.
    #[error("the store failed at the step \"{step}\"")]
    Store {
        /// Which step.
        step: String,
        /// What the store says.
        #[source]
        error: StoreError,
    },
    /// Two steps of one run have the same name.
    #[error(
        "the step \"{step}\" runs twice; a step is known by its name, so give each its own, such as \"{step}-2\" or one with the item's id in it"
    )]
    Twice {
        /// The name.
        step: String,
    },
    /// The name cannot be one.
    #[error(
        "{name:?} cannot name a step: use 1 to {MAX_STEP_NAME_BYTES} bytes without control characters"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// There are too many steps.
    #[error(
        "the step \"{step}\" would be number {}: a slot keeps {MAX_STEPS} at the most; keep the results of several in one",
        MAX_STEPS + 1
    )]
    TooMany {
        /// Which step.
        step: String,
    },
    /// The result of an earlier attempt is of another type.
    #[error(
        "an earlier attempt finished the step \"{step}\" with a `{found}`, and this version asks for a `{wanted}`; \
         let the version that began it finish, give the changed step another name and `retire` this one, \
         or resolve the slot by hand"
    )]
    OtherType {
        /// Which step.
        step: String,
        /// The type's name when it was kept.
        found: String,
        /// The type's name that is asked for.
        wanted: String,
    },
    /// The result of an earlier attempt does not fit the type, which has the same name.
    #[error(
        "an earlier attempt finished the step \"{step}\", and what it kept is not all that a `{wanted}` of this version \
         is made of; let the version that began it finish, give the changed step another name and `retire` this one, \
         or resolve the slot by hand"
    )]
    OtherShape {
        /// Which step.
        step: String,
        /// The type's name.
        wanted: String,
        /// What did not fit, where that is known.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// An earlier attempt finished a step that this one has not asked for.
    #[error(
        "an earlier attempt finished the step \"{finished}\", and this one asks for \"{asked}\" without it; if it was \
         renamed, give it its old name back; if it is gone, say `steps.retire(\"{finished}\")` before this one"
    )]
    OtherOrder {
        /// What the earlier attempt finished.
        finished: String,
        /// What this one asks for.
        asked: String,
    },
    /// An earlier attempt finished the step, and its result could not be kept.
    #[error(
        "an earlier attempt finished the step \"{step}\", and its result could not be kept, because it was too large or \
         could not be serialized; it must not run again: an operator has to resolve the slot"
    )]
    NotRetained {
        /// Which step.
        step: String,
    },
    /// What the store has of the step cannot be read.
    #[error(
        "what the store has kept of the step \"{step}\" cannot be read; an operator has to resolve the slot"
    )]
    Unreadable {
        /// Which step.
        step: String,
    },
}

/// How long a step's name may be.
pub const MAX_STEP_NAME_BYTES: usize = 100;

/// How many steps a slot keeps.
pub const MAX_STEPS: usize = 100;

/// How many bytes the results of a slot's steps may have together, as JSON with
/// their names: 1 MiB. A result beyond is not kept, only that its step is finished.
pub const MAX_STEPS_BYTES: usize = 1 << 20;
