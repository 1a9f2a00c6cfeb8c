//! What a handler is given of its claim.

use idem_core::{Lease, Steps};

/// An argument that is not extracted from the request, but made of the claim.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what an idempotent handler is given of its claim",
    label = "#[idempotent] takes an argument that is called `Steps` for the handler's recovery points, and one that is \
             called `Lease` for its claim",
    note = "those are `idem_axum::Steps` and `idem_axum::Lease`; import another extractor of that name under another \
            one: `use other::Lease as OtherLease`"
)]
pub trait OfClaim {
    fn of_claim(steps: &Steps) -> Self;
}

impl OfClaim for Steps {
    fn of_claim(steps: &Steps) -> Self {
        steps.clone()
    }
}

impl OfClaim for Lease {
    fn of_claim(steps: &Steps) -> Self {
        steps.lease()
    }
}

#[doc(hidden)]
#[must_use]
pub fn of_claim<T: OfClaim>(steps: &Steps) -> T {
    T::of_claim(steps)
}
