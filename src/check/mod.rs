//! What the expansion of `#[idempotent]` asserts of a handler's types, so that
//! a mistake is reported where it is written and in words that help. axum says
//! of any of them that the whole function "is not a handler".
//!
//! Nothing here is needed for protection: an unfit handler does not fit into a
//! router either.

mod again;
mod answer;
mod argument;
mod expression;
mod given;
mod mistake;
mod never;
mod state;

pub use self::{
    again::{Again, HeldAgain, Repeatable, SaysWhy, respond_or_retry},
    answer::{Answered, respond},
    argument::{Argument, Deferred, Guess, Head, Known, Last, Raw, Typed},
    expression::{FingerprintValue, KeyValue, ScopeValue},
    given::{OfClaim, of_claim},
    state::{HoldsIdempotency, state},
};

/// The traits whose methods the expansion calls. A glob import of them brings
/// no name into a user's function.
pub mod verdicts {
    pub use super::{
        again::{AnyAgain as _, HeldAgain as _, PathAgain as _},
        answer::{Ending as _, Endless as _},
        argument::{
            Bare as _, Bodiless as _, DefersBody as _, Fits as _, FitsHead as _, PartOfAny as _,
            Rejectable as _, Renamed as _, TakesBody as _, Unfingerprinted as _, Unfit as _,
            Unreadable as _, Unsettled as _, Unusable as _,
        },
    };
}
