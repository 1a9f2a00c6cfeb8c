//! Claims by two names: whichever is stored answers.

use futures_util::future::join_all;

use super::{
    Subject,
    case::{Case, GRACE, LEASE, TTL},
};
use crate::{
    Alias, Claim, ClaimRequest, Claimed, Fence, Fingerprint, OnCrash, SlotState, Store,
    Under, Written,
};

/// How many slots opposite claims meet at, and how many of each kind.
const ROUNDS: usize = 24;
const OF_EACH: usize = 4;

/// One intent under two names, as nodes at two neighbouring stages of a rotation
/// have it. The fingerprint differs between them as the slot does.
struct Two<S> {
    one: Case<S>,
    other: Case<S>,
}

impl<S> Clone for Two<S> {
    fn clone(&self) -> Self {
        Self {
            one: self.one.clone(),
            other: self.other.clone(),
        }
    }
}

impl<S: Store> Two<S> {
    /// None: the store refuses aliases.
    fn new(subject: Subject<S>) -> Option<Self> {
        let one = Case::new(subject);
        one.store().refuses_alias().is_none().then(|| Self {
            other: one.elsewhere(),
            one,
        })
    }

    fn elsewhere(&self) -> Self {
        Self {
            one: self.one.elsewhere(),
            other: self.one.elsewhere(),
        }
    }

    /// A claim by a new owner of `own`, which `alias` may be another name of.
    fn request(own: &Case<S>, alias: &Case<S>) -> ClaimRequest {
        ClaimRequest {
            fingerprint: name_of(own),
            alias: Some(Alias {
                slot: alias.slot,
                fingerprint: name_of(alias),
            }),
            ..own.request()
        }
    }

    /// By those who store under `one`.
    fn here(&self) -> ClaimRequest {
        Self::request(&self.one, &self.other)
    }

    /// By those who store under `other`.
    fn there(&self) -> ClaimRequest {
        Self::request(&self.other, &self.one)
    }
}

/// What is asked, as it is stored at a case's slot.
fn name_of<S>(case: &Case<S>) -> Fingerprint {
    Fingerprint::from_bytes(*case.slot.as_bytes())
}

/// As those claim who know of no other name.
fn alone<S: Store>(case: &Case<S>) -> ClaimRequest {
    ClaimRequest {
        fingerprint: name_of(case),
        ..case.request()
    }
}

/// Nothing is stored: the claim is won at its own slot, and nothing is at the alias.
pub async fn a_claim_that_finds_neither_name_is_of_its_own_slot<S: Store>(subject: Subject<S>) {
    let Some(two) = Two::new(subject) else { return };
    let (grant, claimed) = two.one.win(two.here()).await;
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
    assert_eq!((claimed.under, claimed.taken_over), (Under::Slot, false));
    assert_eq!(grant.slot, two.one.slot);
    let view = two.one.view().await.expect("it should be stored here");
    assert_eq!(view.fingerprint, name_of(&two.one));
    assert_eq!(two.other.view().await, None);
}

/// In flight, lapsed, refused, released, completed: the alias's slot answers as if
/// it had been asked for alone, and nothing appears at the other one.
pub async fn what_is_stored_under_the_alias_answers_whatever_its_state<S: Store>(
    subject: Subject<S>,
) {
    let Some(two) = Two::new(subject) else { return };
    stored_answers(two, Under::Alias).await;
}

/// The same for the claim's own slot, where the alias is absent.
pub async fn what_is_stored_under_the_own_slot_answers_whatever_its_state<S: Store>(
    subject: Subject<S>,
) {
    let Some(two) = Two::new(subject) else { return };
    stored_answers(two, Under::Slot).await;
}

async fn stored_answers<S: Store>(two: Two<S>, under: Under) {
    // Everything is stored at `one`.
    let claim = |two: &Two<S>| match under {
        Under::Slot => two.here(),
        Under::Alias => two.there(),
    };
    let in_flight = two;
    let [lapsed, refused, released, completed] = [(); 4].map(|()| in_flight.elsewhere());
    let (silent, _) = lapsed.one.win(alone(&lapsed.one)).await;
    let step = bytes::Bytes::from("ch_1");
    let _ = lapsed.one.checkpoint(silent, "charge", step).await;
    let refuse = ClaimRequest {
        on_crash: OnCrash::Refuse,
        ..alone(&refused.one)
    };
    refused.one.win(refuse).await;
    let (done, _) = released.one.win(alone(&released.one)).await;
    let _ = released.one.release(done).await;
    let (done, _) = completed.one.win(alone(&completed.one)).await;
    let _ = completed.one.complete(done, "answer").await;

    in_flight.one.win(alone(&in_flight.one)).await;
    let left = in_flight.one.kept_out(claim(&in_flight)).await;
    assert!(!left.is_zero() && left <= in_flight.one.ticks(LEASE));
    match completed.one.claim(claim(&completed)).await {
        Claim::Completed(found) => {
            assert_eq!((&found.record[..], found.expired), (&b"answer"[..], false));
            assert_eq!(found.under, under);
        }
        other => panic!("it is completed, and the claim is {other:?}"),
    }
    let (grant, again) = released.one.win(claim(&released)).await;
    assert_eq!((again.attempt, again.taken_over), (2, false));
    assert_eq!((grant.slot, again.under), (released.one.slot, under));

    lapsed.one.pass(LEASE + 1).await;
    let (grant, took) = lapsed.one.win(claim(&lapsed)).await;
    assert_eq!((took.fence, took.attempt), (silent.fence.next(), 2));
    assert_eq!((grant.slot, took.under), (lapsed.one.slot, under));
    assert!(took.taken_over && took.checkpoints.len() == 1);
    assert_eq!(refused.one.claim(claim(&refused)).await, Claim::Unknown);

    completed.one.pass(TTL - LEASE).await;
    match completed.one.claim(claim(&completed)).await {
        Claim::Completed(found) => assert!(found.expired && found.under == under),
        other => panic!("it is past its ttl, and the claim is {other:?}"),
    }
    for two in [&in_flight, &lapsed, &refused, &released, &completed] {
        assert_eq!(two.other.view().await, None, "something is at the other slot");
    }
}

/// What a claim wins under an alias it renews, keeps and completes there, and both
/// who ask from here and from there get the record.
pub async fn a_claim_under_an_alias_goes_on_there_to_its_end<S: Store>(subject: Subject<S>) {
    let Some(two) = Two::new(subject) else { return };
    let (silent, _) = two.one.win(two.here()).await;
    two.one.pass(LEASE + 1).await;
    let (grant, _) = two.one.win(two.there()).await;
    assert_eq!(two.one.complete(silent, "too late").await, Written::Fenced);
    assert_eq!(two.one.renew(grant).await, Written::Done);
    let step = bytes::Bytes::from("ch_1");
    assert_eq!(two.one.checkpoint(grant, "charge", step).await, Written::Done);
    assert_eq!(two.one.complete(grant, "answer").await, Written::Done);
    for request in [two.here(), two.there(), alone(&two.one)] {
        match two.one.claim(request).await {
            Claim::Completed(found) => assert_eq!(found.record, "answer"),
            other => panic!("it is completed, and the claim is {other:?}"),
        }
    }
}

/// Compared is the fingerprint that belongs to the slot which is there.
pub async fn another_fingerprint_is_a_mismatch_under_the_alias_too<S: Store>(subject: Subject<S>) {
    let Some(two) = Two::new(subject) else { return };
    let completed = two.elsewhere();
    two.one.win(two.here()).await;
    let (grant, _) = completed.one.win(completed.here()).await;
    let _ = completed.one.complete(grant, "answer").await;
    for two in [two, completed] {
        let request = two.there();
        let another = |alias: Alias| Alias {
            fingerprint: Fingerprint::from_bytes([8; 32]),
            ..alias
        };
        let other_payload = ClaimRequest {
            fingerprint: Fingerprint::from_bytes([8; 32]),
            alias: request.alias.map(another),
            ..request
        };
        assert_eq!(two.one.claim(other_payload).await, Claim::Mismatch);
        assert_eq!(two.other.view().await, None);
    }
}

/// The same owner asks again by both names, from whichever it was won under.
pub async fn a_claim_by_two_names_whose_reply_was_lost_is_the_same_claim<S: Store>(
    subject: Subject<S>,
) {
    let Some(two) = Two::new(subject) else { return };
    let under_alias = two.elsewhere();
    let request = two.here();
    let (_, first) = two.one.win(request).await;
    let (_, again) = two.one.win(request).await;
    assert_eq!(first, again);

    under_alias.one.win(alone(&under_alias.one)).await;
    under_alias.one.pass(LEASE + 1).await;
    let request = under_alias.there();
    let (grant, first) = under_alias.one.win(request).await;
    let (_, again) = under_alias.one.win(request).await;
    assert_eq!(first, again);
    assert_eq!((first.under, first.attempt), (Under::Alias, 2));
    // And once more when it is over: that wins nothing, neither here nor there.
    assert_eq!(under_alias.one.release(grant).await, Written::Done);
    let left = under_alias.one.kept_out(request).await;
    assert!(left.is_zero());
    assert_eq!(under_alias.other.view().await, None);
}

/// What is past its grace is not there, whether it is swept away yet or not.
pub async fn an_alias_that_is_deleted_is_absent<S: Store>(subject: Subject<S>) {
    let Some(two) = Two::new(subject) else { return };
    let (grant, _) = two.one.win(alone(&two.one)).await;
    assert_eq!(two.one.complete(grant, "answer").await, Written::Done);
    two.one.pass(TTL + GRACE + 1).await;
    let (grant, claimed) = two.other.win(two.there()).await;
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
    assert_eq!((grant.slot, claimed.under), (two.other.slot, Under::Slot));
    // From there on it is stored under the other name for both.
    two.other.kept_out(two.here()).await;
    two.other.kept_out(two.there()).await;
    assert_eq!(two.one.view().await, None);
}

/// Both are stored, which a rotation by its rule never leads to: nothing runs while
/// either is in flight or completed, whichever is asked for first.
pub async fn of_two_slots_one_that_is_taken_keeps_the_other_from_running<S: Store>(
    subject: Subject<S>,
) {
    let Some(root) = Two::new(subject) else { return };
    for end in [false, true] {
        for taken_is_one in [false, true] {
            let two = root.elsewhere();
            let (taken, free) = match taken_is_one {
                true => (&two.one, &two.other),
                false => (&two.other, &two.one),
            };
            let (grant, _) = taken.win(alone(taken)).await;
            if end {
                assert_eq!(taken.complete(grant, "answer").await, Written::Done);
            }
            let (grant, _) = free.win(alone(free)).await;
            assert_eq!(free.release(grant).await, Written::Done);
            for request in [two.here(), two.there()] {
                match two.one.claim(request).await {
                    Claim::InFlight { lease_left } if !end => assert!(!lease_left.is_zero()),
                    Claim::Completed(found) if end => assert_eq!(found.record, "answer"),
                    other => panic!("one of the two is taken, and the claim is {other:?}"),
                }
            }
            assert_eq!(free.state().await, SlotState::Released);
        }
    }
}

/// Claims by those who would store it here and by those who would store it there,
/// in the same moment, many times: one is won, and one slot is there.
pub async fn of_opposite_claims_at_once_one_wins<S: Store>(subject: Subject<S>) {
    let Some(root) = Two::new(subject) else { return };
    for _ in 0..ROUNDS {
        let two = root.elsewhere();
        let won = one_of(opposite_claims_at_once(&two).await);
        assert_eq!((won.fence, won.attempt), (Fence::FIRST, 1));
        let there = [two.one.view().await, two.other.view().await];
        let there: Vec<_> = there.iter().flatten().collect();
        assert_eq!(there.len(), 1, "{there:?}");
    }
}

/// The same where the owner of one of the slots has fallen silent.
pub async fn of_opposite_takeovers_at_once_one_wins<S: Store>(subject: Subject<S>) {
    let Some(root) = Two::new(subject) else { return };
    let all: Vec<_> = (0..ROUNDS / 4).map(|_| root.elsewhere()).collect();
    for two in &all {
        two.one.win(two.here()).await;
    }
    root.one.pass(LEASE + 1).await;
    for two in &all {
        let won = one_of(opposite_claims_at_once(two).await);
        assert_eq!((won.attempt, won.taken_over), (2, true));
        assert_eq!(two.other.view().await, None);
    }
}

async fn opposite_claims_at_once<S: Store>(two: &Two<S>) -> Vec<Claim> {
    let tasks = (0..2 * OF_EACH).map(|index| {
        let two = two.clone();
        tokio::spawn(async move {
            let request = if index % 2 == 0 { two.here() } else { two.there() };
            two.one.claim(request).await
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let ended = join_all(tasks).await.into_iter();
    ended.map(|task| task.expect("a task panicked")).collect()
}

/// The one claim that was won; all others must be told that it is in flight.
fn one_of(claims: Vec<Claim>) -> Claimed {
    let mut won = Vec::new();
    for claim in claims {
        match claim {
            Claim::Claimed(claimed) => won.push(claimed),
            Claim::InFlight { .. } => {}
            other => panic!("neither won nor in flight: {other:?}"),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    won.remove(0)
}
