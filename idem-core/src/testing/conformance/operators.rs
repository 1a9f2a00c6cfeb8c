//! What operators see and decide.

use bytes::Bytes;

use super::{
    Subject,
    case::{Case, GRACE, LEASE, TTL},
};
use crate::{Claim, ClaimRequest, Fence, OnCrash, OwnerId, Resolved, SlotState, Store, Written};

/// Looking at a slot does not make one.
pub async fn an_absent_slot_has_no_view<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    assert_eq!(case.view().await, None);
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.attempt, 1);
}

/// A view has everything but the payload, and looking changes nothing.
pub async fn a_view_shows_the_state_and_changes_nothing<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let request = case.request();
    let (grant, _) = case.win(request).await;
    let _ = case.checkpoint(grant, "charge", Bytes::from("ch_1")).await;
    for _ in 0..2 {
        let view = case.view().await.expect("the slot should be there");
        assert_eq!(view.slot, case.slot);
        assert_eq!(view.fingerprint, request.fingerprint);
        assert_eq!((view.fence, view.attempt), (Fence::FIRST, 1));
        assert_eq!(view.checkpoints, ["charge"]);
        let SlotState::InFlight { lease_left } = view.state else {
            panic!("it is in flight: {view:?}");
        };
        assert!(!lease_left.is_zero() && lease_left <= case.ticks(LEASE));
        let deleted_in = view.deleted_in.expect("it ends some day");
        assert!(deleted_in <= case.ticks(LEASE + TTL + GRACE));
        assert!(deleted_in > case.ticks(TTL + GRACE));
    }
    let _ = case.complete(grant, "answer").await;
    let view = case.view().await.expect("the slot should be there");
    let expected = SlotState::Completed {
        record: Bytes::from("answer"),
        expired: false,
    };
    assert_eq!(view.state, expected);
    assert!(view.checkpoints.is_empty(), "a record needs no steps");
    assert!(view.deleted_in.expect("it ends some day") <= case.ticks(TTL + GRACE));
}

async fn unknown<S: Store>(case: &Case<S>) -> crate::Grant {
    let request = ClaimRequest {
        on_crash: OnCrash::Refuse,
        ..case.request()
    };
    let (grant, _) = case.win(request).await;
    case.pass(LEASE + 1).await;
    assert_eq!(case.state().await, SlotState::Unknown);
    grant
}

/// "It happened": from now on this is the record.
pub async fn an_operator_records_an_outcome<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let silent = unknown(&case).await;
    let resolved = case
        .resolve(silent.fence, OwnerId::random(), case.completion("it did"))
        .await;
    assert_eq!(resolved, Resolved::Done);
    assert_eq!(case.recorded().await.record, "it did");
    // It has a record's time now, and ends like one.
    case.pass(TTL + GRACE + 1).await;
    assert_eq!(case.view().await, None);
}

/// "It did not happen": a retry may run.
pub async fn an_operator_gives_a_slot_back<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let silent = unknown(&case).await;
    let resolved = case
        .resolve(silent.fence, OwnerId::random(), case.give_back())
        .await;
    assert_eq!(resolved, Resolved::Done);
    assert_eq!(case.state().await, SlotState::Released);
    let (_, claimed) = case.win(case.request()).await;
    assert_eq!(claimed.attempt, 2);
    assert!(claimed.fence > silent.fence.next(), "the resolution has a fence of its own");
}

/// The same operator's decision, sent again, is `Done` again.
pub async fn a_resolution_whose_reply_was_lost_is_the_same_resolution<S: Store>(
    subject: Subject<S>,
) {
    let recorded = Case::new(subject);
    let released = recorded.elsewhere();
    let lapsed = recorded.own().await;
    released.own().await;
    recorded.pass(LEASE + 1).await;
    let operator = OwnerId::random();
    for _ in 0..2 {
        let completion = recorded.completion("it did");
        assert_eq!(
            recorded.resolve(lapsed.fence, operator, completion).await,
            Resolved::Done
        );
        assert_eq!(
            released
                .resolve(Fence::FIRST, operator, released.give_back())
                .await,
            Resolved::Done
        );
    }
    assert_eq!(recorded.recorded().await.record, "it did");
    let (_, claimed) = released.win(released.request()).await;
    assert_eq!(claimed.attempt, 2);
}

/// A decision about a state that is not there any more changes nothing.
pub async fn a_resolution_of_what_has_moved_changes_nothing<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let absent = case.elsewhere();
    let completed = case.elsewhere();
    let silent = case.own().await;
    let record = completed.own().await;
    let _ = completed.complete(record, "answer").await;
    case.pass(LEASE + 1).await;
    let newest = case.own().await;

    let operator = OwnerId::random();
    for resolution in [case.completion("wrong"), case.give_back()] {
        for (case, fence) in [
            (&case, silent.fence),
            (&absent, Fence::FIRST),
            (&completed, record.fence),
        ] {
            assert_eq!(
                case.resolve(fence, operator, resolution.clone()).await,
                Resolved::Moved
            );
        }
    }
    assert_eq!(absent.view().await, None);
    assert_eq!(completed.recorded().await.record, "answer");
    assert_eq!(case.complete(newest, "answer").await, Written::Done);
}

/// Who is alive is not resolved over their head.
pub async fn a_live_owner_is_not_resolved<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let resolved = case
        .resolve(grant.fence, OwnerId::random(), case.give_back())
        .await;
    let Resolved::StillOwned { lease_left } = resolved else {
        panic!("its owner is alive: {resolved:?}");
    };
    assert!(!lease_left.is_zero() && lease_left <= case.ticks(LEASE));
    assert_eq!(case.complete(grant, "answer").await, Written::Done);
}

/// The silent owner wakes up after an operator has decided.
pub async fn an_owner_that_was_resolved_is_fenced<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let given_back = case.elsewhere();
    let silent = unknown(&case).await;
    let also_silent = given_back.own().await;
    case.pass(LEASE + 1).await;
    let operator = OwnerId::random();
    let _ = case
        .resolve(silent.fence, operator, case.completion("it did"))
        .await;
    let _ = given_back
        .resolve(also_silent.fence, operator, given_back.give_back())
        .await;
    for (case, grant) in [(&case, silent), (&given_back, also_silent)] {
        assert_eq!(case.renew(grant).await, Written::Fenced);
        assert_eq!(case.complete(grant, "stale").await, Written::Fenced);
        assert_eq!(case.release(grant).await, Written::Fenced);
    }
    assert!(matches!(
        case.claim(case.request()).await,
        Claim::Completed(_)
    ));
    assert_eq!(given_back.state().await, SlotState::Released);
}
