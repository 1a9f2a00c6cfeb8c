//! The meters of scopes, where a store keeps them. One that does not passes.

use std::time::Duration;

use super::{
    Subject,
    case::{Case, answered},
};
use crate::{ListQuery, ScopeTag, SlotView, Spent, Store};

/// In ticks. A busy machine has as many to spare as there are between what is asserted.
const WINDOW: u32 = 12;

fn tag() -> ScopeTag {
    ScopeTag::from_bytes(rand::random())
}

impl<S: Store> Case<S> {
    async fn spend(&self, tag: ScopeTag, bytes: u64, ticks: u32) -> Spent {
        let spent = self.store().spend(tag, bytes, self.ticks(ticks)).await;
        answered("spend", spent)
    }

    /// In a window that no test outlasts.
    async fn total(&self, tag: ScopeTag, bytes: u64) -> u64 {
        let window = Duration::from_secs(24 * 60 * 60);
        answered("spend", self.store().spend(tag, bytes, window).await).total
    }
}

/// What is spent adds up, and can be more than 32 bits hold.
pub async fn what_is_spent_adds_up<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    if !case.store().meters() {
        return;
    }
    let ana = tag();
    assert_eq!(case.total(ana, 0).await, 0);
    assert_eq!(case.total(ana, 5).await, 5);
    assert_eq!(case.total(ana, 10_000_000_000).await, 10_000_000_005);
    assert_eq!(case.total(ana, 0).await, 10_000_000_005);
}

/// Each scope has its own meter.
pub async fn meters_do_not_see_each_other<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    if !case.store().meters() {
        return;
    }
    let ana = tag();
    let mut almost = *ana.as_bytes();
    almost[15] ^= 1;
    let bob = ScopeTag::from_bytes(almost);
    case.total(ana, 5).await;
    assert_eq!(case.total(bob, 7).await, 7);
    assert_eq!(case.total(ana, 0).await, 5);
}

/// A meter starts anew when its window has ended, and not before.
pub async fn a_meter_starts_anew_after_its_window<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    if !case.store().meters() {
        return;
    }
    let ana = tag();
    let first = case.spend(ana, 5, WINDOW).await;
    assert!(first.resets_in <= case.ticks(WINDOW), "{first:?}");
    assert!(first.resets_in > case.ticks(WINDOW - 10), "{first:?}");
    case.pass(5).await;
    // Spending more does not put the end off.
    let second = case.spend(ana, 5, WINDOW).await;
    assert_eq!(second.total, 10);
    assert!(second.resets_in <= case.ticks(WINDOW - 5), "{second:?}");
    case.pass(WINDOW - 5).await;
    let third = case.spend(ana, 3, WINDOW).await;
    assert_eq!(third.total, 3);
    assert!(third.resets_in > case.ticks(WINDOW - 10), "{third:?}");
}

/// A longer window lengthens the one at hand, from its start; a shorter one does not
/// shorten it.
pub async fn the_longest_window_counts<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    if !case.store().meters() {
        return;
    }
    let ana = tag();
    case.spend(ana, 5, WINDOW).await;
    case.pass(5).await;
    let longer = case.spend(ana, 5, 3 * WINDOW).await;
    assert_eq!(longer.total, 10);
    assert!(longer.resets_in <= case.ticks(3 * WINDOW - 5), "{longer:?}");
    assert!(longer.resets_in > case.ticks(3 * WINDOW - 15), "{longer:?}");
    case.pass(WINDOW).await;
    let shorter = case.spend(ana, 5, WINDOW).await;
    assert_eq!(shorter.total, 15);
    assert!(shorter.resets_in > case.ticks(WINDOW), "{shorter:?}");
}

/// None of many at once is lost.
pub async fn what_many_spend_at_once_adds_up<S: Store>(subject: Subject<S>) {
    const MANY: u64 = 32;
    let case = Case::new(subject);
    if !case.store().meters() {
        return;
    }
    let ana = tag();
    let mut spending = tokio::task::JoinSet::new();
    for bytes in 1..=MANY {
        let case = case.clone();
        spending.spawn(async move { case.total(ana, bytes).await });
    }
    let mut totals = spending.join_all().await;
    totals.sort_unstable();
    totals.dedup();
    // Each is one step, so no two have seen the same sum.
    assert_eq!(totals.len() as u64, MANY);
    assert_eq!(case.total(ana, 0).await, MANY * (MANY + 1) / 2);
}

/// A meter is no slot, and keeps no list from being read.
pub async fn a_meter_is_not_listed<S: Store>(subject: Subject<S>) {
    let case = Case::new(subject);
    if !case.store().meters() {
        return;
    }
    let ana = tag();
    case.total(ana, 5).await;
    let query = ListQuery {
        state: None,
        after: None,
        limit: 100,
    };
    let page = answered("list", case.store().list(query).await);
    let is_meter = |view: &SlotView| view.slot.as_bytes().starts_with(ana.as_bytes());
    assert!(!page.slots.iter().any(is_meter));
}
