//! The handler's answer is a response, and one that ends.

use std::marker::PhantomData;

use axum::response::{IntoResponse, Response, Sse};

use super::never::{Impossible, Never};

/// What a handler may answer.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of an idempotent handler",
    label = "this is not a response, so there is nothing to record for a retry",
    note = "answer with `Json<T>`, `String`, `StatusCode`, `Response`, a tuple that ends in one of them, or \
            `impl IntoResponse for {Self}`",
    note = "of a `Result<T, E>` both sides must be responses, and of a tuple the last element; \
            those before it are a status, headers or `IntoResponseParts`"
)]
pub trait Answer {
    fn into_answer(self) -> Response;
}

impl<R: IntoResponse> Answer for R {
    fn into_answer(self) -> Response {
        self.into_response()
    }
}

impl<R> Answer for R
where
    Impossible<R>: Never,
{
    fn into_answer(self) -> Response {
        <Impossible<R> as Never>::never()
    }
}

/// Turns the body's value into the answer.
pub fn respond<R: Answer>(value: R) -> Response {
    value.into_answer()
}

/// Nothing has it: it is the error for an answer that has no end.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "an event stream has no end to record, so a retry could not get it again",
    label = "`{Self}` is an endless answer",
    note = "answer with a whole response, and serve the stream from a GET handler without #[idempotent]"
)]
pub trait Recordable {}

/// Of an answer's type: whether it has an end.
#[derive(Debug)]
pub struct Answered<R>(PhantomData<fn() -> R>);

impl<R: 'static> Answered<R> {
    pub const PROBE: &'static &'static Self = &&Self(PhantomData);
}

/// Chosen first, as for [`Argument`](super::Argument).
pub trait Endless<S> {
    fn check(&self)
    where
        Sse<S>: Recordable,
    {
    }
}
impl<S> Endless<S> for &Answered<Sse<S>> {}
impl<S, E> Endless<S> for &Answered<Result<Sse<S>, E>> {}
impl<A, S> Endless<S> for &Answered<(A, Sse<S>)> {}
impl<A, B, S> Endless<S> for &Answered<(A, B, Sse<S>)> {}

/// Chosen when nothing is known against it.
pub trait Ending {
    fn check(&self) {}
}
impl<R> Ending for Answered<R> {}
