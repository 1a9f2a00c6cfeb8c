//! What can be wrong with an argument, in the words that the user reads. A trait
//! that nothing implements is an error wherever it is a bound; one that some
//! types satisfy has a second impl that never applies, see [`never`](super::never).

use axum::extract::FromRequestParts;
use serde::{Serialize, de::DeserializeOwned};

use super::never::{Impossible, Never};
use crate::FingerprintBody;

#[diagnostic::on_unimplemented(
    message = "`{Self}` reads the request's body, which only the last argument may",
    label = "move this argument to the end",
    note = "a request has one body; where two arguments need it, take it once, as the last one"
)]
pub trait LeavesBody {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` reads the request's body, so it cannot be deferred",
    label = "its fingerprint is needed before the claim",
    note = "remove `#[deferred]`; it is for what is expensive and comes from elsewhere, such as a connection"
)]
pub trait Deferrable {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "axum cannot take this from a request to a router with the state `{S}`",
    note = "wrap it in one: `Json<{Self}>` for a payload (as the last argument), `Path<{Self}>`, `Query<{Self}>`, \
            `State<{Self}>`; or write `impl FromRequestParts<{S}> for {Self}`",
    note = "the state is the one in `state = …`, or in the argument `State<…>`; if the router has another, say \
            `state = AppState` in #[idempotent]"
)]
pub trait Extractor<S> {}
impl<A, S> Extractor<S> for A where A: FromRequestParts<S> {}
impl<A, S> Extractor<S> for A where Impossible<(A, S)>: Never {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is a value, not an extractor",
    label = "axum cannot take this from a request",
    note = "wrap it in an extractor: `Json<{Self}>` for a payload (as the last argument), `Path<{Self}>`, \
            `Query<{Self}>`, `Extension<{Self}>`",
    note = "if it implements `FromRequestParts` for the router's state, say `state = AppState` in #[idempotent]"
)]
pub trait NotBare {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is the handler's transaction, under another name",
    label = "#[idempotent] knows the transaction by its name",
    note = "write the type as `Tx<…>`, not by an alias"
)]
pub trait UnderItsOwnName {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a request",
    label = "its extractor needs `{Self}: serde::Deserialize`",
    note = "add `#[derive(serde::Deserialize)]` to `{Self}`"
)]
pub trait Readable {}
impl<T: DeserializeOwned> Readable for T {}
impl<T> Readable for T where Impossible<T>: Never {}

#[diagnostic::on_unimplemented(
    message = "the payload `{Self}` cannot be fingerprinted",
    label = "idem could not tell a retry from another payload under the same key",
    note = "add `#[derive(serde::Serialize)]` to `{Self}`: its canonical form becomes the fingerprint",
    note = "without touching the type, say `fingerprint = \"raw\"` (the body's bytes) or \
            `fingerprint = <expression over the arguments>` in #[idempotent]"
)]
pub trait Fingerprintable {}
impl<T: Serialize> Fingerprintable for T {}
impl<T> Fingerprintable for T where Impossible<T>: Never {}

#[diagnostic::on_unimplemented(
    message = "the payload of `{Self}` cannot be fingerprinted",
    label = "idem could not tell a retry from another payload under the same key",
    note = "take `Json<T>`, `Form<T>` (with `T: serde::Serialize`), `Bytes` or `String`, or implement \
            `idem_axum::FingerprintBody` for an extractor of your own",
    note = "without touching the type, say `fingerprint = \"raw\"` (the body's bytes) or \
            `fingerprint = <expression over the arguments>` in #[idempotent]"
)]
pub trait Fingerprinted {}
impl<A: FingerprintBody> Fingerprinted for A {}
impl<A> Fingerprinted for A where Impossible<A>: Never {}

#[diagnostic::on_unimplemented(
    message = "a payload that was rejected has nothing to fingerprint",
    label = "two bad payloads under one key could not be told apart",
    note = "say `fingerprint = \"raw\"` in #[idempotent]: then the body's bytes are compared, readable or not"
)]
pub trait NeverRejected {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` reads no body, so `fingerprint = \"raw\"` has no bytes to compare",
    label = "the last argument must read the body",
    note = "take the body as the last argument (`Json<T>`, `Bytes`, `String`), or remove `fingerprint = \"raw\"`: \
            method, path and query are always compared"
)]
pub trait ReadsBody {}
