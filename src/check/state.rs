//! The router's state holds an `Idempotency`.

use axum::extract::FromRef;

use super::never::{Impossible, Never};
use crate::state::Idempotency;

/// A router's state that the runtime can be taken from.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the state `{Self}` holds no `Idempotency`",
    label = "idempotent handlers take their runtime from the router's state",
    note = "put one into it: `#[derive(Clone, FromRef)]` on a struct with a field `idempotency: Idempotency`, or write \
            `impl FromRef<{Self}> for Idempotency`",
    note = "a type that is not your own, such as `Arc<App>`, needs a type of yours around it: \
            `#[derive(Clone)] struct AppState(Arc<App>);`"
)]
pub trait HoldsIdempotency {
    fn idempotency(&self) -> Idempotency;
}

impl<S> HoldsIdempotency for S
where
    Idempotency: FromRef<S>,
{
    fn idempotency(&self) -> Idempotency {
        Idempotency::from_ref(self)
    }
}

impl<S> HoldsIdempotency for S
where
    Impossible<S>: Never,
{
    fn idempotency(&self) -> Idempotency {
        <Impossible<S> as Never>::never()
    }
}

/// `state = AppState`
pub const fn state<S: HoldsIdempotency>() {}
