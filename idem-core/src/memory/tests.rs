//! What the conformance suite cannot ask of every store: limits, and deletion without a scan.

use super::*;
use crate::{Fingerprint, OnCrash};

const MINUTE: Duration = Duration::from_secs(60);

fn request(number: u8) -> ClaimRequest {
    let mut slot = [number; 32];
    slot[31] = number;
    ClaimRequest {
        slot: Slot::from_bytes(slot),
        fingerprint: Fingerprint::from_bytes([1; 32]),
        owner: OwnerId::from_bytes([number; 16]),
        lease: MINUTE,
        retention: Retention {
            ttl: 10 * MINUTE,
            grace: MINUTE,
        },
        on_crash: OnCrash::TakeOver,
        alias: None,
    }
}

fn grant(number: u8) -> Grant {
    let request = request(number);
    Grant {
        slot: request.slot,
        owner: request.owner,
        fence: Fence::FIRST,
    }
}

async fn claimed(store: &MemoryStore, number: u8) -> bool {
    matches!(
        store.claim(request(number)).await,
        Ok(Claim::Claimed(Claimed { .. }))
    )
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_new_slots_and_still_serves_the_old_ones() {
    let store = MemoryStore::with_limits(2, usize::MAX);
    assert!(claimed(&store, 1).await);
    assert!(claimed(&store, 2).await);
    let error = store.claim(request(3)).await.unwrap_err();
    assert!(matches!(
        error,
        StoreError::Full {
            limit: 2,
            unit: "slots"
        }
    ));
    let record = Bytes::from("answer");
    let retention = request(1).retention;
    assert_eq!(
        store.complete(grant(1), record, retention).await.unwrap(),
        Written::Done
    );
    assert!(matches!(
        store.claim(request(1)).await.unwrap(),
        Claim::Completed(_)
    ));
    // The refused claim left nothing behind.
    assert_eq!(store.slots(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_in_its_grace_is_not_dropped_for_a_new_slot() {
    let store = MemoryStore::with_limits(1, usize::MAX);
    assert!(claimed(&store, 1).await);
    let retention = request(1).retention;
    let _ = store
        .complete(grant(1), Bytes::from("answer"), retention)
        .await
        .unwrap();
    tokio::time::advance(10 * MINUTE + Duration::from_secs(1)).await;
    assert!(store.claim(request(2)).await.is_err());
    tokio::time::advance(MINUTE).await;
    assert!(claimed(&store, 2).await);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_counted_and_given_back() {
    let store = MemoryStore::with_limits(100, 3_000);
    assert!(claimed(&store, 1).await);
    let one_slot = store.bytes();
    let retention = request(1).retention;
    let _ = store
        .complete(grant(1), Bytes::from(vec![0; 3_000]), retention)
        .await
        .unwrap();
    assert_eq!(store.bytes(), one_slot + 3_000);
    assert!(matches!(
        store.claim(request(2)).await,
        Err(StoreError::Full { unit: "bytes", .. })
    ));
    tokio::time::advance(11 * MINUTE).await;
    assert!(claimed(&store, 2).await);
    assert_eq!(store.bytes(), one_slot);
    assert_eq!(store.slots(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_is_full_when_nothing_more_fits_and_not_before() {
    let measure = MemoryStore::new();
    assert!(claimed(&measure, 1).await);
    let one_slot = measure.bytes();
    let store = MemoryStore::with_limits(100, 2 * one_slot);
    assert!(claimed(&store, 1).await);
    assert!(claimed(&store, 2).await);
    assert!(store.claim(request(3)).await.is_err());
    assert_eq!((store.slots(), store.bytes()), (2, 2 * one_slot));
    let tight = MemoryStore::with_limits(100, 2 * one_slot - 1);
    assert!(claimed(&tight, 1).await);
    assert!(tight.claim(request(2)).await.is_err());
    assert_eq!(tight.bytes(), one_slot);
}

#[tokio::test(start_paused = true)]
async fn steps_are_counted_until_the_record_makes_them_superfluous() {
    let store = MemoryStore::new();
    assert!(claimed(&store, 1).await);
    let one_slot = store.bytes();
    for (name, value) in [("charge", 1_000), ("mail", 500)] {
        let step = Checkpoint {
            name: name.to_owned(),
            value: vec![0; value].into(),
        };
        let _ = store.checkpoint(grant(1), step).await.unwrap();
    }
    let steps = 2 * size_of::<Checkpoint>() + "chargemail".len() + 1_500;
    assert_eq!(store.bytes(), one_slot + steps);
    let record = Bytes::from("answer");
    let retention = request(1).retention;
    let _ = store.complete(grant(1), record, retention).await.unwrap();
    assert_eq!(store.bytes(), one_slot + "answer".len());
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_over_in_the_very_instant_in_which_it_ends() {
    let store = MemoryStore::new();
    for number in 1..=3 {
        assert!(claimed(&store, number).await);
    }
    tokio::time::advance(MINUTE).await;
    let view = store.inspect(grant(1).slot).await.unwrap().unwrap();
    assert_eq!(view.state, crate::SlotState::Lapsed);
    let other = ClaimRequest {
        owner: OwnerId::from_bytes([9; 16]),
        ..request(2)
    };
    let claim = store.claim(other).await.unwrap();
    assert!(matches!(claim, Claim::Claimed(c) if c.taken_over));
    let release = Resolution::Release { ttl: MINUTE };
    let resolved = store
        .resolve(grant(3).slot, Fence::FIRST, other.owner, release)
        .await;
    assert_eq!(resolved.unwrap(), Resolved::Done);
}

#[tokio::test(start_paused = true)]
async fn the_verbs_delete_what_is_due_on_their_way() {
    let store = MemoryStore::new();
    // All in one shard: the last two bytes choose it.
    let in_shard = |number: u8| {
        let mut request = request(number);
        let mut slot = *request.slot.as_bytes();
        slot[30..].fill(0);
        request.slot = Slot::from_bytes(slot);
        request
    };
    for number in 0..100 {
        let _ = store.claim(in_shard(number)).await.unwrap();
    }
    tokio::time::advance(12 * MINUTE + Duration::from_secs(1)).await;
    for number in 100..130 {
        let _ = store.claim(in_shard(number)).await.unwrap();
    }
    assert_eq!(store.slots(), 30);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_in_a_shard_that_nobody_comes_to_is_deleted_all_the_same() {
    let store = MemoryStore::new();
    let in_shard = |shard: usize| {
        let mut request = request(1);
        let mut slot = *request.slot.as_bytes();
        slot[30..].copy_from_slice(&u16::try_from(shard).unwrap().to_le_bytes());
        request.slot = Slot::from_bytes(slot);
        request
    };
    for shard in 0..SHARDS {
        let _ = store.claim(in_shard(shard)).await.unwrap();
    }
    tokio::time::advance(12 * MINUTE + Duration::from_secs(1)).await;
    for number in 0..SHARDS {
        let mut request = in_shard(0);
        let mut slot = *request.slot.as_bytes();
        slot[..2].copy_from_slice(&u16::try_from(number).unwrap().to_le_bytes());
        request.slot = Slot::from_bytes(slot);
        let _ = store.claim(request).await.unwrap();
    }
    assert_eq!(store.slots(), SHARDS);
}

#[tokio::test(start_paused = true)]
async fn renewals_do_not_grow_the_expiry_queue() {
    let store = MemoryStore::new();
    assert!(claimed(&store, 1).await);
    for _ in 0..1_000 {
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(store.renew(grant(1), MINUTE).await.unwrap(), Written::Done);
    }
    assert!(store.shard(&grant(1).slot).queue_len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn a_completed_slot_has_one_place_in_the_expiry_queue() {
    let store = MemoryStore::new();
    assert!(claimed(&store, 1).await);
    let retention = request(1).retention;
    let record = Bytes::from("answer");
    tokio::time::advance(MINUTE / 2).await;
    let _ = store.complete(grant(1), record, retention).await.unwrap();
    assert_eq!(store.shard(&grant(1).slot).queue_len(), 1);
    // It is looked at before its time, and deleted at it.
    tokio::time::advance(retention.total()).await;
    store.reap_all(Instant::now());
    assert_eq!(store.slots(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_moves_to_an_earlier_time_happens_then() {
    let store = MemoryStore::new();
    assert!(claimed(&store, 1).await);
    let _ = store.release(grant(1), MINUTE).await.unwrap();
    tokio::time::advance(MINUTE).await;
    store.reap_all(Instant::now());
    assert_eq!((store.slots(), store.bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_looked_at_before_its_time_is_looked_at_again() {
    let store = MemoryStore::new();
    assert!(claimed(&store, 1).await);
    let total = request(1).retention.total();
    tokio::time::advance(total).await;
    store.reap_all(Instant::now());
    assert_eq!(store.slots(), 1, "its lease is not over its time yet");
    tokio::time::advance(MINUTE).await;
    store.reap_all(Instant::now());
    assert_eq!(store.slots(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slot_under_refuse_is_never_deleted_by_time() {
    let store = MemoryStore::new();
    let refuse = ClaimRequest {
        on_crash: OnCrash::Refuse,
        ..request(1)
    };
    let _ = store.claim(refuse).await.unwrap();
    tokio::time::advance(1_000_000 * MINUTE).await;
    store.reap_all(Instant::now());
    let retry = ClaimRequest {
        owner: OwnerId::from_bytes([9; 16]),
        ..refuse
    };
    assert_eq!(store.claim(retry).await.unwrap(), Claim::Unknown);
}

#[tokio::test(start_paused = true)]
async fn durations_beyond_the_clock_do_not_panic() {
    let store = MemoryStore::new();
    let endless = ClaimRequest {
        lease: Duration::MAX,
        retention: Retention {
            ttl: Duration::MAX,
            grace: Duration::MAX,
        },
        ..request(1)
    };
    let _ = store.claim(endless).await.unwrap();
    assert_eq!(
        store.renew(grant(1), Duration::MAX).await.unwrap(),
        Written::Done
    );
}

#[test]
fn slots_are_spread_over_all_shards() {
    let mut slots = [0; SHARDS];
    for end in 0..=u16::MAX {
        let mut slot = [7; 32];
        slot[30..].copy_from_slice(&end.to_be_bytes());
        slots[shard_of(&Slot::from_bytes(slot))] += 1;
    }
    let each = (usize::from(u16::MAX) + 1) / SHARDS;
    assert!(slots.iter().all(|slots| *slots == each), "{slots:?}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_renewed_is_queued_for_its_deletion_once() {
    let store = MemoryStore::new();
    assert!(claimed(&store, 1).await);
    for _ in 0..100 {
        assert_eq!(store.renew(grant(1), MINUTE).await.unwrap(), Written::Done);
    }
    assert_eq!(store.shard(&grant(1).slot).queue_len(), 1);
}
