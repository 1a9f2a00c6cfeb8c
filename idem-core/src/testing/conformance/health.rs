//! Whether the store can take claims.

use super::{Subject, case::Case, case::answered};
use crate::Store;

/// The readiness probe of a store that works.
pub async fn a_store_that_works_is_healthy<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    answered("health", case.store().health().await);
}
