//! A second way to implement a trait, which nothing ever takes.
//!
//! rustc reports the innermost bound that does not hold: of a trait with one
//! blanket impl it says "`Payment: serde::Serialize` is not satisfied", and our
//! own words never show. Where a second impl might apply as well, it cannot say
//! which bound is to blame and reports the trait itself, in the words of its
//! `#[diagnostic::on_unimplemented]`. So a trait of ours that speaks to the user and
//! is satisfied by some types has a second impl `where Impossible<T>: Never`, which
//! never applies.

use std::marker::PhantomData;

/// Has no impl. The compiler knows, because nobody else may write one for [`Impossible`].
#[doc(hidden)]
pub trait Never {
    fn never<T>() -> T;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Impossible<T: ?Sized>(PhantomData<T>);
