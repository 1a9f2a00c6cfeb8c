//! The owner's sign of life.

use super::{
    Subject,
    case::{Case, LEASE},
};
use crate::{SlotState, Store, Written};

/// As long as it is renewed in time, a lease never lapses.
pub async fn a_renewal_starts_the_lease_anew<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    for _ in 0..3 {
        case.pass(LEASE - 2).await;
        assert_eq!(case.renew(grant).await, Written::Done);
        let left = case.kept_out(case.request()).await;
        assert!(left > case.ticks(LEASE - 2), "it was not renewed: {left:?}");
    }
}

/// A silent owner that nobody has replaced goes on.
pub async fn a_lapsed_lease_that_nobody_took_is_renewed<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    case.pass(LEASE + 1).await;
    assert_eq!(case.state().await, SlotState::Lapsed);
    assert_eq!(case.renew(grant).await, Written::Done);
    assert!(matches!(case.state().await, SlotState::InFlight { .. }));
    case.kept_out(case.request()).await;
}

/// And its answer counts.
pub async fn a_lapsed_owner_that_nobody_replaced_may_complete<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    case.pass(LEASE + 1).await;
    assert_eq!(case.complete(grant, "answer").await, Written::Done);
    assert_eq!(case.recorded().await.record, "answer");
}
