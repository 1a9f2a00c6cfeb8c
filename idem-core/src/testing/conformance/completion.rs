//! The record.

use bytes::Bytes;

use super::{
    Subject,
    case::{Case, LEASE, TTL, answered},
};
use crate::{Claim, Retention, SlotState, Store, Written};

/// Every claim of the same request gets the record, the owner's own included.
pub async fn a_completed_record_answers_every_claim<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let request = case.request();
    let (grant, _) = case.win(request).await;
    assert_eq!(case.complete(grant, "answer").await, Written::Done);
    for _ in 0..3 {
        let completed = case.recorded().await;
        assert_eq!(completed.record, "answer");
        assert!(!completed.expired);
        assert!(!completed.remaining.is_zero());
        assert!(completed.remaining <= case.ticks(TTL));
    }
    assert!(matches!(case.claim(request).await, Claim::Completed(_)));
    // It has no lease that could lapse.
    case.pass(LEASE + 1).await;
    assert_eq!(case.recorded().await.record, "answer");
}

/// Whatever is written to a completed slot, and by whomever, its bytes stay.
pub async fn a_record_never_changes<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let silent = case.own().await;
    case.pass(LEASE + 1).await;
    let newest = case.own().await;
    let _ = case.complete(newest, "answer").await;
    let _ = case.complete(newest, "again").await;
    let _ = case.complete(silent, "stale").await;
    let _ = case.release(newest).await;
    let _ = case.renew(newest).await;
    let _ = case.checkpoint(newest, "late", Bytes::new()).await;
    assert_eq!(case.recorded().await.record, "answer");
    assert_eq!(
        case.state().await,
        SlotState::Completed {
            record: Bytes::from("answer"),
            expired: false
        }
    );
}

/// A completion sent twice is `Done` twice and keeps the first bytes, and its
/// time runs from the first.
pub async fn a_completion_whose_reply_was_lost_is_the_same_completion<S: Store>(
    subject: Subject<S>,
) {
    let case = Case::new(subject);
    let grant = case.own().await;
    assert_eq!(case.complete(grant, "answer").await, Written::Done);
    case.pass(3).await;
    let longer = Retention {
        ttl: case.ticks(10 * TTL),
        ..case.retention()
    };
    let again = case
        .store()
        .complete(grant, Bytes::from("another"), longer)
        .await;
    assert_eq!(answered("complete", again), Written::Done);
    let completed = case.recorded().await;
    assert_eq!(completed.record, "answer");
    assert!(completed.remaining <= case.ticks(TTL - 3));
}

/// A completed slot has no owner that could do anything but complete again.
pub async fn a_completed_slot_is_not_released_renewed_or_checkpointed<S: Store>(
    subject: Subject<S>,
) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let _ = case.complete(grant, "answer").await;
    assert_eq!(case.release(grant).await, Written::Fenced);
    assert_eq!(case.renew(grant).await, Written::Fenced);
    let step = case.checkpoint(grant, "late", Bytes::new()).await;
    assert_eq!(step, Written::Fenced);
}

/// What was given back is not completed afterwards.
pub async fn a_released_slot_is_not_completed<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    let grant = case.own().await;
    let _ = case.release(grant).await;
    assert_eq!(case.complete(grant, "answer").await, Written::Fenced);
    assert_eq!(case.renew(grant).await, Written::Fenced);
    let step = case.checkpoint(grant, "late", Bytes::new()).await;
    assert_eq!(step, Written::Fenced);
    assert_eq!(case.state().await, SlotState::Released);
}

/// Empty, binary, large: the bytes that went in come out.
pub async fn records_of_every_size_come_back_to_the_byte<S: Store>(subject: Subject<S>) {
    let root = Case::new(subject);
    for record in samples(1 << 20) {
        let case = root.elsewhere();
        let grant = case.own().await;
        assert_eq!(case.complete(grant, record.clone()).await, Written::Done);
        assert!(
            case.recorded().await.record == record,
            "a record of {} bytes came back changed",
            record.len()
        );
    }
}

/// Nothing, every byte there is, and a lot.
pub(super) fn samples(large: usize) -> [Bytes; 3] {
    let all = 0..=u8::MAX;
    [
        Bytes::new(),
        all.clone().collect::<Vec<u8>>().into(),
        all.cycle().take(large).collect::<Vec<u8>>().into(),
    ]
}
