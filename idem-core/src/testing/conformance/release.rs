//! A slot that was given back without an answer.

use bytes::Bytes;

use super::{
    Subject,
    case::{Case, TTL},
};
use crate::{Fence, SlotState, Store, Written};

/// A retry gets the slot at once, with the next fence and attempt.
pub async fn a_released_slot_is_claimed_as_another_attempt<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let first = case.own().await;
    assert_eq!(case.release(first).await, Written::Done);
    assert_eq!(case.state().await, SlotState::Released);
    let (second, claimed) = case.win(case.request()).await;
    assert_eq!((claimed.fence, claimed.attempt), (first.fence.next(), 2));
    assert!(!claimed.taken_over, "it was given back, not taken");
    let _ = case.release(second).await;
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.attempt, 3);
}

/// A release sent twice is `Done` twice, until somebody else claims.
pub async fn a_release_whose_reply_was_lost_is_the_same_release<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    assert_eq!(case.release(grant).await, Written::Done);
    assert_eq!(case.release(grant).await, Written::Done);
    case.own().await;
    assert_eq!(case.release(grant).await, Written::Fenced);
    assert!(matches!(case.state().await, SlotState::InFlight { .. }));
}

/// The owner has claimed, run and released; a copy of its claim comes late and
/// must not block the slot for a lease during which nobody runs.
pub async fn a_late_copy_of_a_released_claim_wins_nothing<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let request = case.request();
    let (grant, _) = case.win(request).await;
    let _ = case.release(grant).await;
    assert!(case.kept_out(request).await.is_zero());
    assert_eq!(case.state().await, SlotState::Released);
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.attempt, 2);
}

/// A retry goes on from what was finished before the release.
pub async fn a_release_keeps_the_finished_steps<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let _ = case.checkpoint(grant, "charge", Bytes::from("ch_1")).await;
    let _ = case.release(grant).await;
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.checkpoints.len(), 1);
    assert_eq!(claimed.checkpoints[0].value, "ch_1");
}

/// After its ttl a released slot is as if it had never been.
pub async fn a_released_slot_ends_with_its_ttl<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let _ = case.checkpoint(grant, "charge", Bytes::from("ch_1")).await;
    let _ = case.release(grant).await;
    case.pass(TTL + 1).await;
    assert_eq!(case.view().await, None);
    let (_, claimed) = case.win(case.other_request()).await;
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
    assert!(claimed.checkpoints.is_empty());
}
