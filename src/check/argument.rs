//! The handler's arguments can be extracted, each where it stands.
//!
//! What is wrong may depend on the router's state, which a handler need not
//! know: with `State<Db>` the router may have any state that a `Db` can be
//! taken from. So an argument is refused for what is wrong whatever the state,
//! and for what is wrong with the state that is known, by `state = AppState` or
//! because the `AppState` of a `State<AppState>` holds an `Idempotency`.
//! Everything else is left to the router.
//!
//! The method `check` is called on references to references to … an
//! [`Argument`], and the compiler takes the first impl that applies, from the
//! most references to none: it is asked what is right, then what is known to be
//! wrong, and at last nothing. A bound on the *method* is checked only after
//! that choice, so it becomes the error.

use std::marker::PhantomData;

use axum::{
    Form, Json,
    extract::{FromRequest, FromRequestParts, Path, Query},
};

use idem_core::TransactionHandle;

use super::{
    mistake::{
        Deferrable, Extractor, Fingerprintable, Fingerprinted, LeavesBody, NeverRejected, NotBare,
        Readable, ReadsBody, UnderItsOwnName,
    },
    state::HoldsIdempotency,
};
use crate::{FingerprintBody, state::Idempotency};

/// An argument of type `A`, where it stands, and what is known of the state.
#[derive(Debug)]
pub struct Argument<A, Place, S>(PhantomData<(A, Place, S)>);

impl<A: 'static, P: 'static, S: 'static> Argument<A, P, S> {
    pub const PROBE: &'static &'static &'static &'static &'static &'static &'static &'static Self =
        &&&&&&&&Self(PhantomData);
}

/// Not the last argument.
#[derive(Debug)]
pub struct Head;

/// One that is extracted after the claim.
#[derive(Debug)]
pub struct Deferred;

/// The last one, whose value is the fingerprint.
#[derive(Debug)]
pub struct Typed;

/// The last one, whose bytes are the fingerprint.
#[derive(Debug)]
pub struct Raw;

/// The last one, where the author says what the fingerprint is.
#[derive(Debug)]
pub struct Last;

/// What may stand in a place.
pub trait Takes<A, S> {}
impl<A: FromRequestParts<S>, S> Takes<A, S> for Head {}
impl<A: FromRequestParts<S>, S> Takes<A, S> for Deferred {}
impl<A: FromRequest<S> + FingerprintBody, S> Takes<A, S> for Typed {}
impl<A: FromRequest<S>, S> Takes<A, S> for Raw {}
impl<A: FromRequest<S>, S> Takes<A, S> for Last {}

/// What may stand there as well: it has no payload to leave out.
pub trait TakesHead {}
impl TakesHead for Typed {}
impl TakesHead for Last {}

/// The router's state, by `state = …`.
#[derive(Debug)]
pub struct Known<S>(PhantomData<S>);

/// The router's state or a part of it, by `State<…>`.
#[derive(Debug)]
pub struct Guess<S>(PhantomData<S>);

pub trait Presumed {
    type State;
}
impl<S> Presumed for Known<S> {
    type State = S;
}
impl<S> Presumed for Guess<S> {
    type State = S;
}

/// An argument that does not fit this state does not fit.
pub trait Settled {}
impl<S> Settled for Known<S> {}
impl<S: HoldsIdempotency> Settled for Guess<S> {}

/// Types that nobody makes extractors.
pub trait Value {}
macro_rules! values {
    ($($ty:ty),*) => { $(impl Value for $ty {})* };
}
values!(
    bool, char, f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize
);
impl Value for serde_json::Value {}

// One trait for each verdict. The bound of its method is the error.

pub trait Fits {
    fn check(&self) {}
}

pub trait FitsHead {
    fn check(&self) {}
}

pub trait TakesBody<A> {
    fn check(&self)
    where
        A: LeavesBody,
    {
    }
}

pub trait DefersBody<A> {
    fn check(&self)
    where
        A: Deferrable,
    {
    }
}

pub trait Unreadable<T> {
    fn check(&self)
    where
        T: Readable,
    {
    }
}

pub trait Unusable<T> {
    fn check(&self)
    where
        T: Readable + Fingerprintable,
    {
    }
}

pub trait Rejectable<A> {
    fn check(&self)
    where
        A: NeverRejected,
    {
    }
}

pub trait Unfingerprinted<A> {
    fn check(&self)
    where
        A: Fingerprinted,
    {
    }
}

pub trait Bodiless<A> {
    fn check(&self)
    where
        A: ReadsBody,
    {
    }
}

pub trait Unfit<A, S> {
    fn check(&self)
    where
        A: Extractor<S>,
    {
    }
}

pub trait Renamed<A> {
    fn check(&self)
    where
        A: UnderItsOwnName,
    {
    }
}

pub trait Bare<A> {
    fn check(&self)
    where
        A: NotBare,
    {
    }
}

pub trait PartOfAny {
    fn check(&self) {}
}

pub trait Unsettled {
    fn check(&self) {}
}

impl<A, P, S> Fits for &&&&&&&Argument<A, P, S>
where
    P: Takes<A, S::State>,
    S: Presumed,
{
}

impl<A, P, S> FitsHead for &&&&&&Argument<A, P, S>
where
    A: FromRequestParts<S::State>,
    P: TakesHead,
    S: Presumed,
{
}

impl<A, S> Bodiless<A> for &&&&&&Argument<A, Raw, S>
where
    A: FromRequestParts<S::State>,
    S: Presumed,
{
}

// Known by their type: what they hold is what is wrong with them.
impl<T, S> TakesBody<Json<T>> for &&&&&Argument<Json<T>, Head, S> {}
impl<T, S> TakesBody<Form<T>> for &&&&&Argument<Form<T>, Head, S> {}
impl<T, S> DefersBody<Json<T>> for &&&&&Argument<Json<T>, Deferred, S> {}
impl<T, S> DefersBody<Form<T>> for &&&&&Argument<Form<T>, Deferred, S> {}
impl<T, S> Unusable<T> for &&&&&Argument<Json<T>, Typed, S> {}
impl<T, S> Unusable<T> for &&&&&Argument<Option<Json<T>>, Typed, S> {}
impl<T, S> Unusable<T> for &&&&&Argument<Form<T>, Typed, S> {}
impl<T, S> Unreadable<T> for &&&&&Argument<Json<T>, Raw, S> {}
impl<T, S> Unreadable<T> for &&&&&Argument<Form<T>, Raw, S> {}
impl<T, S> Unreadable<T> for &&&&&Argument<Json<T>, Last, S> {}
impl<T, S> Unreadable<T> for &&&&&Argument<Form<T>, Last, S> {}
impl<T, P, S> Unreadable<T> for &&&&&Argument<Query<T>, P, S> {}
impl<T, P, S> Unreadable<T> for &&&&&Argument<Path<T>, P, S> {}
impl<A, R, S> Rejectable<Result<A, R>> for &&&&&Argument<Result<A, R>, Typed, S>
where
    Result<A, R>: FromRequest<S::State>,
    S: Presumed,
{
}

impl<A: TransactionHandle, P, S> Renamed<A> for &&&&&Argument<A, P, S> {}

// It can be extracted, but not there.
impl<A, S> TakesBody<A> for &&&&Argument<A, Head, S>
where
    A: FromRequest<S::State>,
    S: Presumed,
{
}
impl<A, S> DefersBody<A> for &&&&Argument<A, Deferred, S>
where
    A: FromRequest<S::State>,
    S: Presumed,
{
}
impl<A, S> Unfingerprinted<A> for &&&&Argument<A, Typed, S>
where
    A: FromRequest<S::State>,
    S: Presumed,
{
}
impl<A: Value, P, S> Bare<A> for &&&Argument<A, P, S> {}

// Any state with an `Idempotency` in it has this part.
impl<A, P> PartOfAny for &&Argument<A, P, Guess<Idempotency>> {}

impl<A, P, S> Unfit<A, S::State> for &Argument<A, P, S> where S: Presumed + Settled {}

impl<A, P, S> Unsettled for Argument<A, P, S> {}
