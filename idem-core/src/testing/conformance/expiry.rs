//! The end of a ttl is no race: logical expiry is apart from physical deletion.

use super::{
    Subject,
    case::{Case, GRACE, LEASE, TTL, answered},
};
use crate::{Claim, ClaimRequest, Fence, OnCrash, Retention, SlotState, Store, Written};

/// Between ttl and deletion the record is there, and says that it is old.
pub async fn a_record_past_its_ttl_is_marked_and_still_answers<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let _ = case.complete(grant, "answer").await;
    case.pass(TTL + 1).await;
    let completed = case.recorded().await;
    assert_eq!(completed.record, "answer");
    assert!(completed.expired);
    assert!(!completed.remaining.is_zero());
    assert!(completed.remaining <= case.ticks(GRACE));
    assert!(matches!(
        case.state().await,
        SlotState::Completed { expired: true, .. }
    ));
    // A completion that comes again does not make it young.
    assert_eq!(case.complete(grant, "again").await, Written::Done);
    assert!(case.recorded().await.expired);
}

/// After the grace the key is free for anything.
pub async fn a_record_past_its_grace_is_gone<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let _ = case.complete(case.own().await, "answer").await;
    case.pass(TTL + GRACE + 1).await;
    assert_eq!(case.view().await, None);
    let (_, claimed) = case.win(case.other_request()).await;
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
}

/// Without a grace there is no time in between.
pub async fn a_record_without_grace_is_gone_at_its_ttl<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let retention = Retention {
        ttl: case.ticks(TTL),
        grace: case.ticks(0),
    };
    let written = case
        .store()
        .complete(grant, "answer".into(), retention)
        .await;
    assert_eq!(answered("complete", written), Written::Done);
    assert!(!case.recorded().await.expired);
    case.pass(TTL + 1).await;
    assert_eq!(case.view().await, None);
}

/// A slot whose owner died is kept for a late retry as long as a record would
/// have been, and no longer. Renewals count.
pub async fn an_abandoned_slot_is_gone_in_the_end_and_not_before<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    case.pass(LEASE - 2).await;
    let _ = case.renew(grant).await;
    case.pass(TTL + GRACE).await;
    assert_eq!(case.claim(case.other_request()).await, Claim::Mismatch);
    case.pass(LEASE + 1).await;
    assert_eq!(case.view().await, None);
}

/// Nobody knows how far its owner came, so time alone must not free it.
pub async fn a_slot_under_refuse_is_never_gone<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let request = ClaimRequest {
        on_crash: OnCrash::Refuse,
        ..case.request()
    };
    let (grant, _) = case.win(request).await;
    case.pass(LEASE - 2).await;
    let _ = case.renew(grant).await;
    case.pass(LEASE + TTL + GRACE + 1).await;
    assert_eq!(case.claim(case.request()).await, Claim::Unknown);
    assert_eq!(case.claim(case.other_request()).await, Claim::Mismatch);
    let view = case.view().await.expect("the slot should be there");
    assert_eq!((view.state, view.deleted_in), (SlotState::Unknown, None));
}
