//! The values of the attribute's expressions.

use std::fmt::Display;

use serde::Serialize;

use super::never::{Impossible, Never};

/// `scope = <expression>`
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a scope",
    label = "a scope's value needs `std::fmt::Display`: the text of a user's or tenant's id",
    note = "name the id itself, as in `scope = user.id`; where there may be none, extract it so that the request is \
            refused without one"
)]
pub trait ScopeValue {
    fn scope(&self) -> String;
}

impl<T: Display + ?Sized> ScopeValue for T {
    fn scope(&self) -> String {
        self.to_string()
    }
}

impl<T: ?Sized> ScopeValue for T
where
    Impossible<T>: Never,
{
    fn scope(&self) -> String {
        <Impossible<T> as Never>::never()
    }
}

/// `key = <expression>`
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an idempotency key",
    label = "a key needs `std::fmt::Display`: the text of an id",
    note = "name the id itself, as in `key = event.id`; where there may be none, an empty text is refused with 400"
)]
pub trait KeyValue {
    fn key(&self) -> String;
}

impl<T: Display + ?Sized> KeyValue for T {
    fn key(&self) -> String {
        self.to_string()
    }
}

impl<T: ?Sized> KeyValue for T
where
    Impossible<T>: Never,
{
    fn key(&self) -> String {
        <Impossible<T> as Never>::never()
    }
}

/// `fingerprint = <expression>`
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be fingerprinted",
    label = "the fingerprint needs `serde::Serialize`",
    note = "add `#[derive(serde::Serialize)]` to `{Self}`, or name the fields that count: \
            `fingerprint = (&payment.amount, &payment.currency)`"
)]
pub trait FingerprintValue {
    fn value(&self) -> &impl Serialize;
}

impl<T: Serialize> FingerprintValue for T {
    fn value(&self) -> &impl Serialize {
        self
    }
}

impl<T> FingerprintValue for T
where
    Impossible<T>: Never,
{
    fn value(&self) -> &impl Serialize {
        <Impossible<T> as Never>::never::<&()>()
    }
}
