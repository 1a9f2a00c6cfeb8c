//! The owner's sign of life.

use super::{
    Subject,
    case::{Case, LEASE, answered},
};
use crate::{Fence, Grant, OwnerId, Renewal, SlotState, Store, Written};

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

/// Each renewal of many is as one alone, whatever becomes of the others.
pub async fn many_leases_are_renewed_as_each_alone<S: Store>(subject: Subject<S>) {
    let root = Case::new(subject);
    let renewal = |grant| Renewal {
        grant,
        lease: root.ticks(LEASE),
    };
    let lapsed = root.elsewhere();
    let stale = root.elsewhere();
    let (lapsed_grant, stale_grant) = (lapsed.own().await, stale.own().await);
    root.pass(LEASE + 1).await;
    let newest = stale.own().await;
    let completed = root.elsewhere();
    let completed_grant = completed.own().await;
    assert_eq!(completed.complete(completed_grant, "a").await, Written::Done);
    let alive = root.elsewhere();
    let alive_grant = alive.own().await;

    let mut asked = vec![
        (alive_grant, Written::Done),
        (stale_grant, Written::Fenced),
        (lapsed_grant, Written::Done),
        (completed_grant, Written::Fenced),
        (newest, Written::Done),
    ];
    // More than any store takes at once, and nearly all of slots that are not there.
    for number in 0..1200 {
        let grant = Grant {
            slot: root.elsewhere().slot,
            owner: OwnerId::random(),
            fence: Fence::FIRST,
        };
        asked.insert(number % (asked.len() + 1), (grant, Written::Fenced));
    }
    root.pass(LEASE - 2).await;
    let renewals: Vec<Renewal> = asked.iter().map(|(grant, _)| renewal(*grant)).collect();
    let mut written = answered("renew_many", root.store().renew_many(&renewals).await);
    assert_eq!(written.len(), asked.len(), "an answer for each");
    for ((grant, _), written) in asked.iter().zip(&mut written) {
        if written.is_none() {
            *written = Some(root.elsewhere_at(grant.slot).renew(*grant).await);
        }
    }
    for ((grant, expected), written) in asked.iter().zip(&written) {
        assert_eq!(written.as_ref(), Some(expected), "{grant:?}");
    }
    for case in [&alive, &stale, &lapsed] {
        let left = case.kept_out(case.request()).await;
        // Two ticks, if it was not renewed.
        assert!(left > case.ticks(LEASE / 2), "it was not renewed: {left:?}");
    }
    assert_eq!(completed.recorded().await.record, "a");
    assert_eq!(answered("renew_many", root.store().renew_many(&[]).await), []);
}
