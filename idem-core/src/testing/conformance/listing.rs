//! Lists, page by page. Other slots may be there: the server may be shared.

use std::collections::HashMap;

use super::{
    Subject,
    case::{Case, GRACE, LEASE, TTL, answered},
};
use crate::{ClaimRequest, Grant, ListQuery, Retention, Slot, StateKind, Store};

/// How many times longer than elsewhere a slot lives that is to be listed: a list is
/// many commands, and each may have to be asked for several times.
const LONGER: u32 = 20;

fn retention<S: Store>(case: &Case<S>) -> Retention {
    Retention {
        ttl: case.ticks(LONGER * TTL),
        grace: case.ticks(LONGER * GRACE),
    }
}

async fn own<S: Store>(case: &Case<S>) -> Grant {
    let request = ClaimRequest {
        lease: case.ticks(LONGER * LEASE),
        retention: retention(case),
        ..case.request()
    };
    case.win(request).await.0
}

/// All pages of a list, and how often each slot was on them.
async fn listed<S: Store>(
    case: &Case<S>,
    state: Option<StateKind>,
    limit: usize,
) -> HashMap<Slot, usize> {
    let mut query = ListQuery {
        state,
        after: None,
        limit,
    };
    let mut seen = HashMap::new();
    loop {
        let page = answered("list", case.store().list(query.clone()).await);
        assert!(page.slots.len() <= limit, "a page is longer than asked for");
        for view in page.slots {
            assert!(state.is_none_or(|state| state == view.state.kind()), "{view:?}");
            *seen.entry(view.slot).or_default() += 1;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return seen,
        }
    }
}

/// Whatever the size of the pages, each slot is on exactly one.
pub async fn a_list_has_every_slot_once<S: Store>(subject: Subject<S>) {
    let root = Case::new(subject);
    let mut slots = Vec::new();
    for _ in 0..23 {
        let case = root.elsewhere();
        own(&case).await;
        slots.push(case.slot);
    }
    for limit in [1, 7, 23, 1000, usize::MAX] {
        let seen = listed(&root, None, limit).await;
        for slot in &slots {
            assert_eq!(seen.get(slot), Some(&1), "pages of {limit}");
        }
        assert!(!seen.contains_key(&root.slot), "an absent slot is listed");
    }
}

/// Only what an operator asked for.
pub async fn a_list_can_be_of_one_state<S: Store>(subject: Subject<S>) {
    let in_flight = Case::new(subject);
    let completed = in_flight.elsewhere();
    let released = in_flight.elsewhere();
    own(&in_flight).await;
    let retention = retention(&in_flight);
    let (to_complete, to_release) = (own(&completed).await, own(&released).await);
    let store = in_flight.store();
    let written = store.complete(to_complete, "answer".into(), retention);
    let _ = answered("complete", written.await);
    let written = store.release(to_release, retention.ttl);
    let _ = answered("release", written.await);
    for (case, state) in [
        (&in_flight, StateKind::InFlight),
        (&completed, StateKind::Completed),
        (&released, StateKind::Released),
    ] {
        let seen = listed(case, Some(state), 2).await;
        for other in [&in_flight, &completed, &released] {
            let expected = (other.slot == case.slot).then_some(&1);
            assert_eq!(seen.get(&other.slot), expected, "{state:?}");
        }
    }
    for state in [StateKind::Lapsed, StateKind::Unknown] {
        assert!(!listed(&in_flight, Some(state), 10).await.contains_key(&in_flight.slot));
    }
}
