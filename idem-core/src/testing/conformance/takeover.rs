//! What becomes of a slot whose owner fell silent.

use bytes::Bytes;

use super::{
    Subject,
    case::{Case, LEASE},
};
use crate::{Claim, ClaimRequest, OnCrash, SlotState, Store, Written};

/// The next claim gets the slot, with the next fence and attempt.
pub async fn a_lapsed_lease_is_taken_over<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let silent = case.own().await;
    case.pass(LEASE + 1).await;
    assert_eq!(case.state().await, SlotState::Lapsed);
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.fence, silent.fence.next());
    assert_eq!(claimed.attempt, 2);
    assert!(claimed.taken_over);
    // The new lease keeps others out like the first.
    case.kept_out(case.request()).await;
}

/// The owner's claim, sent again, is the takeover that it was.
pub async fn a_takeover_whose_reply_was_lost_is_the_same_takeover<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    case.own().await;
    case.pass(LEASE + 1).await;
    let request = case.request();
    let (_, first) = case.win(request).await;
    let (_, again) = case.win(request).await;
    assert_eq!(first, again);
    assert!(again.taken_over);
}

/// The silent owner wakes up and sends its claim again: it is not its slot any more.
pub async fn the_silent_owner_cannot_claim_back_what_was_taken_over<S: Store>(
    subject: Subject<S>,
) {
    let case = Case::new(subject);
    let silent = case.request();
    case.win(silent).await;
    case.pass(LEASE + 1).await;
    let newest = case.own().await;
    case.kept_out(silent).await;
    assert_eq!(case.complete(newest, "answer").await, Written::Done);
    assert!(matches!(case.claim(silent).await, Claim::Completed(_)));
}

/// Neither a slot that was claimed under *refuse* nor a claim under *refuse* takes over.
pub async fn nobody_takes_over_under_refuse<S: Store>(subject: Subject<S>) {
    let claimed_so = Case::new(subject);
    let claims_so = claimed_so.elsewhere();
    let refuse = |request| ClaimRequest {
        on_crash: OnCrash::Refuse,
        ..request
    };
    let (silent, _) = claimed_so.win(refuse(claimed_so.request())).await;
    claims_so.own().await;
    claimed_so.pass(LEASE + 1).await;
    assert_eq!(
        claimed_so.claim(claimed_so.request()).await,
        Claim::Unknown
    );
    assert_eq!(
        claims_so.claim(refuse(claims_so.request())).await,
        Claim::Unknown
    );
    assert_eq!(claimed_so.state().await, SlotState::Unknown);
    let view = claimed_so.view().await.expect("the slot should be there");
    assert_eq!((view.fence, view.attempt), (silent.fence, 1));
    // The other one may still be taken over by whoever does not refuse.
    let (_, claimed) = claims_so.win(claims_so.request()).await;
    assert!(claimed.taken_over);
}

/// *Refuse* keeps others out, not the owner.
pub async fn a_silent_owner_under_refuse_may_go_on<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let request = ClaimRequest {
        on_crash: OnCrash::Refuse,
        ..case.request()
    };
    let (grant, first) = case.win(request).await;
    case.pass(LEASE + 1).await;
    assert_eq!(case.win(request).await.1, first);
    case.pass(LEASE + 1).await;
    assert_eq!(case.renew(grant).await, Written::Done);
    case.kept_out(case.request()).await;
    case.pass(LEASE + 1).await;
    assert_eq!(case.complete(grant, "answer").await, Written::Done);
    assert_eq!(case.recorded().await.record, "answer");
}

/// A takeover goes on from what the silent owner had finished.
pub async fn a_takeover_is_handed_the_finished_steps<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let silent = case.own().await;
    assert_eq!(
        case.checkpoint(silent, "charge", Bytes::from("ch_1")).await,
        Written::Done
    );
    case.pass(LEASE + 1).await;
    let (_, claimed) = case.win(case.request()).await;
    let [step] = claimed.checkpoints.as_slice() else {
        panic!("one step was finished: {:?}", claimed.checkpoints);
    };
    assert_eq!((step.name.as_str(), &step.value[..]), ("charge", &b"ch_1"[..]));
}
