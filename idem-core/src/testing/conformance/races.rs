//! Many at once. Run these on a runtime with several threads, too.

use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::{
    Subject,
    case::{Case, LEASE},
};
use crate::{Claim, Claimed, Fence, OwnerId, Resolved, Store, Written};

const CROWD: usize = 64;

async fn joined<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let ended = join_all(tasks).await;
    ended
        .into_iter()
        .map(|task| task.expect("a task panicked"))
        .collect()
}

async fn claims_at_once<S: Store>(case: &Case<S>) -> Vec<Claim> {
    let tasks = (0..CROWD).map(|_| {
        let case = case.clone();
        tokio::spawn(async move { case.claim(case.request()).await })
    });
    joined(tasks.collect()).await
}

/// The one claim that was won; all others must be told that it is in flight.
fn winner(claims: Vec<Claim>) -> Claimed {
    let mut winners = Vec::new();
    for claim in claims {
        match claim {
            Claim::Claimed(claimed) => winners.push(claimed),
            Claim::InFlight { .. } => {}
            other => panic!("neither won nor in flight: {other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    winners.remove(0)
}

/// Identical claims of an absent slot: one owner.
pub async fn of_many_claims_at_once_one_wins<S: Store>(subject: Subject<S>) {
    let root = Case::new(subject);
    for _ in 0..8 {
        let case = root.elsewhere();
        let won = winner(claims_at_once(&case).await);
        assert_eq!((won.fence, won.attempt), (Fence::FIRST, 1));
    }
}

/// Identical claims of a lapsed slot: one owner.
pub async fn of_many_takeovers_at_once_one_wins<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    case.own().await;
    case.pass(LEASE + 1).await;
    let won = winner(claims_at_once(&case).await);
    assert_eq!((won.fence, won.attempt), (Fence::FIRST.next(), 2));
    assert!(won.taken_over);
}

/// Claims of many slots, mixed: one owner for each.
pub async fn many_slots_at_once_have_one_owner_each<S: Store>(subject: Subject<S>) {
    let root = Case::new(subject);
    let cases: Vec<_> = (0..32).map(|_| root.elsewhere()).collect();
    let tasks = (0..4 * cases.len()).map(|index| {
        let case = cases[index % cases.len()].clone();
        tokio::spawn(async move {
            let claim = case.claim(case.request()).await;
            (index % 32, claim)
        })
    });
    let claims = joined(tasks.collect()).await;
    for slot in 0..cases.len() {
        let of_slot = claims.iter().filter(|(of, _)| *of == slot);
        winner(of_slot.map(|(_, claim)| claim.clone()).collect());
    }
}

/// A silent owner completes in the very moment in which another takes over:
/// either its record counts and nobody runs again, or it is fenced.
pub async fn a_completion_and_a_takeover_at_once_agree<S: Store>(subject: Subject<S>) {
    let root = Case::new(subject);
    let cases: Vec<_> = (0..32).map(|_| root.elsewhere()).collect();
    let mut owned = Vec::new();
    for case in cases {
        let grant = case.own().await;
        owned.push((case, grant));
    }
    root.pass(LEASE + 1).await;
    let tasks = owned.into_iter().enumerate().map(|(index, (case, grant))| {
        let completing = case.clone();
        let complete = async move { completing.complete(grant, "answer").await };
        let claim = async move { case.claim(case.request()).await };
        tokio::spawn(async move {
            // Each order is begun as often as the other.
            if index % 2 == 0 {
                let (complete, claim) = (tokio::spawn(complete), tokio::spawn(claim));
                (complete.await.unwrap(), claim.await.unwrap())
            } else {
                let (claim, complete) = (tokio::spawn(claim), tokio::spawn(complete));
                (complete.await.unwrap(), claim.await.unwrap())
            }
        })
    });
    for outcome in joined(tasks.collect()).await {
        match &outcome {
            (Written::Done, Claim::Completed(completed)) => assert_eq!(completed.record, "answer"),
            (Written::Fenced, Claim::Claimed(claimed)) => assert!(claimed.taken_over),
            _ => panic!("completion and takeover disagree: {outcome:?}"),
        }
    }
}

/// Two operators decide at once: one decision counts, the other is told so.
pub async fn two_resolutions_at_once_agree<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let silent = case.own().await;
    case.pass(LEASE + 1).await;
    let tasks = (0..CROWD).map(|index| {
        let case = case.clone();
        tokio::spawn(async move {
            let resolution = if index % 2 == 0 {
                case.completion("it did")
            } else {
                case.give_back()
            };
            case.resolve(silent.fence, OwnerId::random(), resolution).await
        })
    });
    let resolved = joined(tasks.collect()).await;
    let done = resolved.iter().filter(|r| **r == Resolved::Done).count();
    let moved = resolved.iter().filter(|r| **r == Resolved::Moved).count();
    assert_eq!((done, moved), (1, CROWD - 1), "{resolved:?}");
}
