//! Only the newest grant may write.

use bytes::Bytes;

use super::{
    Subject,
    case::{Case, GRACE, LEASE, TTL},
};
use crate::{Fence, Grant, OwnerId, SlotState, Store, Written};

/// Sends every write under a grant that must not count.
async fn write_everything<S: Store>(case: &Case<S>, stale: Grant) {
    assert_eq!(case.renew(stale).await, Written::Fenced);
    let step = case.checkpoint(stale, "stale", Bytes::from("x")).await;
    assert_eq!(step, Written::Fenced);
    assert_eq!(case.complete(stale, "stale").await, Written::Fenced);
    assert_eq!(case.release(stale).await, Written::Fenced);
}

/// The newest claim's slot, untouched, and still its own.
async fn is_untouched<S: Store>(case: &Case<S>, newest: Grant) {
    let view = case.view().await.expect("the slot should be there");
    // Before a slow store the lease may have lapsed meanwhile.
    assert!(
        matches!(view.state, SlotState::InFlight { .. } | SlotState::Lapsed),
        "{view:?}"
    );
    assert_eq!(view.fence, newest.fence);
    assert!(view.checkpoints.is_empty(), "{view:?}");
    assert_eq!(case.complete(newest, "answer").await, Written::Done);
    assert_eq!(case.recorded().await.record, "answer");
}

/// An owner that was replaced changes nothing, whatever it writes.
pub async fn an_old_fence_changes_nothing<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let stale = case.own().await;
    case.pass(LEASE + 1).await;
    let newest = case.own().await;
    write_everything(&case, stale).await;
    is_untouched(&case, newest).await;
}

/// The number alone is no proof, and neither is the owner alone.
pub async fn another_owners_fence_of_the_same_number_changes_nothing<S: Store>(
    subject: Subject<S>,
) {
    let case = Case::new(subject);
    let newest = case.own().await;
    let guessed = Grant {
        owner: OwnerId::random(),
        ..newest
    };
    write_everything(&case, guessed).await;
    let ahead = Grant {
        fence: newest.fence.next(),
        ..newest
    };
    write_everything(&case, ahead).await;
    is_untouched(&case, newest).await;
}

/// A write does not bring a slot into being.
pub async fn a_write_to_a_slot_that_is_gone_changes_nothing<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let nobody = Grant {
        slot: case.slot,
        owner: OwnerId::random(),
        fence: Fence::FIRST,
    };
    write_everything(&case, nobody).await;
    assert_eq!(case.view().await, None);
}

/// Fences start over after a deletion, and an owner from before it is still refused.
pub async fn a_fence_from_before_a_deletion_changes_nothing<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let stale = case.own().await;
    case.pass(LEASE + TTL + GRACE + 1).await;
    let newest = case.own().await;
    assert_eq!(newest.fence, stale.fence);
    write_everything(&case, stale).await;
    is_untouched(&case, newest).await;
}
