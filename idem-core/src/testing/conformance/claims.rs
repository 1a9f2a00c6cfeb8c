//! Who becomes the owner.

use super::{
    Subject,
    case::{Case, LEASE},
};
use crate::{Claim, ClaimRequest, Fence, Retention, SlotState, Store, policy::MAX_TTL};

/// The first claim has fence 1 and attempt 1, and nothing to go on from.
pub async fn an_absent_slot_is_claimed<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.fence, Fence::FIRST);
    assert_eq!(claimed.attempt, 1);
    assert!(!claimed.taken_over);
    assert!(claimed.checkpoints.is_empty());
}

/// What happens to one slot is nothing to another.
pub async fn slots_do_not_see_each_other<S: Store>(subject: Subject<S>) {
    let one = Case::new(subject);
    let other = one.elsewhere();
    let grant = one.own().await;
    let request = ClaimRequest {
        fingerprint: other.other_request().fingerprint,
        owner: grant.owner,
        ..other.request()
    };
    let (_, claimed) = other.win(request).await;
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
    let _ = one.complete(grant, "answer").await;
    assert!(matches!(other.state().await, SlotState::InFlight { .. }));
}

/// While the lease is alive everybody else is told what is left of it.
pub async fn a_live_lease_keeps_others_out<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    case.own().await;
    for _ in 0..3 {
        let left = case.kept_out(case.request()).await;
        assert!(!left.is_zero() && left <= case.ticks(LEASE), "{left:?}");
    }
    case.pass(2).await;
    let left = case.kept_out(case.request()).await;
    assert!(left <= case.ticks(LEASE - 2), "the lease does not run: {left:?}");
}

/// The same owner's claim is won again: the same fence and attempt, a new lease.
pub async fn a_claim_whose_reply_was_lost_is_the_same_claim<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let request = case.request();
    let (_, first) = case.win(request).await;
    case.pass(LEASE - 2).await;
    let (_, again) = case.win(request).await;
    assert_eq!(first, again);
    case.pass(LEASE - 2).await;
    case.kept_out(case.request()).await;
}

/// In flight, lapsed, released, completed, expired: the slot is another payload's.
pub async fn another_fingerprint_is_a_mismatch_whatever_the_state<S: Store>(subject: Subject<S>) {
    let in_flight = Case::new(subject);
    let released = in_flight.elsewhere();
    let completed = in_flight.elsewhere();
    in_flight.own().await;
    let _ = released.release(released.own().await).await;
    let _ = completed.complete(completed.own().await, "answer").await;
    for case in [&in_flight, &released, &completed] {
        assert_eq!(case.claim(case.other_request()).await, Claim::Mismatch);
    }
    // The lease has lapsed, and nothing else has ended.
    in_flight.pass(LEASE + 1).await;
    for case in [&in_flight, &released, &completed] {
        assert_eq!(case.claim(case.other_request()).await, Claim::Mismatch);
    }
    // The ttl of the record is over, its grace is not.
    completed.pass(LEASE).await;
    assert!(completed.recorded().await.expired);
    assert_eq!(
        completed.claim(completed.other_request()).await,
        Claim::Mismatch
    );
}

/// A mismatch neither moves the fence nor takes the owner's slot, not even
/// when it bears the owner's name.
pub async fn a_mismatch_changes_nothing<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let request = case.request();
    let (grant, _) = case.win(request).await;
    let impostor = ClaimRequest {
        owner: request.owner,
        ..case.other_request()
    };
    assert_eq!(case.claim(impostor).await, Claim::Mismatch);
    let view = case.view().await.expect("the slot should be there");
    assert_eq!(view.fingerprint, request.fingerprint);
    assert_eq!((view.fence, view.attempt), (grant.fence, 1));
    assert_eq!(
        case.complete(grant, "answer").await,
        crate::Written::Done
    );
}

/// The longest ttl and grace that a policy allows are no special case.
pub async fn a_claim_of_the_longest_retention_is_held<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let longest = Retention {
        ttl: MAX_TTL,
        grace: MAX_TTL,
    };
    let request = ClaimRequest {
        retention: longest,
        ..case.request()
    };
    let (grant, _) = case.win(request).await;
    case.kept_out(case.request()).await;
    let completed = case.store().complete(grant, "answer".into(), longest).await;
    assert_eq!(
        super::case::answered("complete", completed),
        crate::Written::Done
    );
    let record = case.recorded().await;
    assert!(!record.expired);
    assert!(record.remaining <= MAX_TTL);
    assert!(record.remaining > MAX_TTL / 2, "{:?}", record.remaining);
}
