//! A handler with `retries` may run more than once: its arguments can be had again,
//! and its error says why it failed.

use std::error::Error;

use axum::{extract::Path, response::Response};
use idem_core::TransactionHandle;

use super::{
    answer::Answer,
    never::{Impossible, Never},
};
use crate::outcome::Conflict;

/// An argument that every run of the handler gets.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to the handler twice",
    label = "`retries` runs the handler again, with the same arguments",
    note = "add `#[derive(Clone)]` to what is in it, or mark an argument that needs no body `#[deferred]`: then each \
            run extracts its own"
)]
pub trait Repeatable {
    fn again(&self) -> Self;
}

impl<T: Clone> Repeatable for T {
    fn again(&self) -> Self {
        self.clone()
    }
}

impl<T> Repeatable for T
where
    Impossible<T>: Never,
{
    fn again(&self) -> Self {
        <Impossible<T> as Never>::never()
    }
}

/// An argument that is to be had for one more run. As for
/// [`Argument`](super::Argument) the compiler takes the first impl that applies.
#[derive(Debug)]
pub struct Again<'a, T>(&'a T);

impl<'a, T> Again<'a, T> {
    pub const fn of(argument: &'a T) -> Self {
        Self(argument)
    }
}

/// axum's `Path` is not `Clone`, whatever is in it.
pub trait PathAgain<T> {
    fn again(&self) -> Path<T>;
}

impl<T: Clone> PathAgain<T> for &Again<'_, Path<T>> {
    fn again(&self) -> Path<T> {
        Path(self.0.0.clone())
    }
}

/// What holds an argument of type `T`, once more.
pub trait HeldAgain<T>: Sized {
    fn again(&self) -> Self
    where
        T: Repeatable;
}

pub trait AnyAgain<T> {
    fn again(&self) -> T
    where
        T: Repeatable;
}

impl<T> AnyAgain<T> for Again<'_, T> {
    fn again(&self) -> T
    where
        T: Repeatable,
    {
        self.0.again()
    }
}

/// An answer that may say that the transaction gave way to another.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the transaction gave way to another",
    label = "`retries` looks for a serialization failure or a deadlock in the sources of the handler's error",
    note = "answer with a `Result<_, E>` where `E: std::error::Error`, with the database's error among its sources: \
            `#[derive(thiserror::Error)]` and `#[from] sqlx::Error`"
)]
pub trait SaysWhy {
    fn failure(&self) -> Option<&(dyn Error + 'static)>;
}

impl<T, E: Error + 'static> SaysWhy for Result<T, E> {
    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Ok(_) => None,
            Err(error) => Some(error),
        }
    }
}

impl<R> SaysWhy for R
where
    Impossible<R>: Never,
{
    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        <Impossible<R> as Never>::never()
    }
}

/// One more, for a type that is no `Result`: with two that may apply rustc reports
/// the trait in its own words, see [`never`](super::never).
impl<R> SaysWhy for R
where
    Impossible<(R,)>: Never,
{
    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        <Impossible<(R,)> as Never>::never()
    }
}

/// Turns the body's value into the answer, and notes whether it gave way.
pub fn respond_or_retry<H: TransactionHandle, R: SaysWhy + Answer>(value: R) -> Response {
    let mut cause = value.failure();
    let mut conflict = false;
    while let Some(error) = cause {
        conflict |= H::is_conflict(error);
        cause = error.source();
    }
    let mut answer = value.into_answer();
    if conflict {
        answer.extensions_mut().insert(Conflict);
    }
    answer
}
