//! The suite can fail: stores with one flaw each, and the behaviour that shows it.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use idem_core::{
    Alias, Checkpoint, Claim, ClaimRequest, Claimed, Fence, Fingerprint, Grant, Limits, ListQuery,
    MemoryStore, OnCrash, OwnerId, Page, PolicyError, Resolution, Resolved, Retention, Runtime,
    ScopeTag, Slot, SlotView, Spent, Store, StoreError, Under, Written,
    testing::{TestClock, conformance::*},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    /// Get, then set: whoever asks while another is at work wins as well.
    NoExclusion,
    /// A claim that is sent again is a stranger's.
    NoOwner,
    /// Whatever the payload, the key's record is the answer.
    NoFingerprint,
    /// A silent owner blocks its slot for good.
    NoLapse,
    /// `on_crash` is not looked at.
    NoRefuse,
    /// A takeover starts from nothing.
    NoSteps,
    /// A write that is fenced is said to be done.
    NoFencing,
    /// A renewal does nothing.
    NoRenewal,
    /// The record ends with its ttl.
    NoGrace,
    /// The record never expires.
    NoExpiry,
    /// Records are cut to what fits a column.
    ShortColumns,
    /// A release that is sent again is refused.
    ReleaseOnce,
    /// An operator's decision is not checked against what they saw.
    BlindOperators,
    /// A list is its first page.
    OnePage,
    /// A list heeds no filter.
    NoFilter,
    /// It says that it is ill.
    Ill,
    /// The other name is not looked for.
    NoAlias,
    /// The other name is looked for, and then one of them is claimed.
    LookThenClaim,
    /// What is stored under the other name is compared with the own fingerprint.
    OneFingerprint,
    /// It does not say under which name it has found a slot.
    Nameless,
    /// The other name answers, whatever is stored under the own one.
    AliasFirst,
    /// It has no claims by two names, and says so.
    RefusesAlias,
    /// It keeps no meters, which is no flaw: who needs them is told.
    NoMeters,
    /// A meter shows the last that was spent.
    NoSum,
    /// Everybody's meter is one.
    OneMeter,
    /// A meter never ends.
    NoReset,
    /// Each that is spent puts the end off.
    SlidingWindow,
    /// The first window is the window.
    FirstWindow,
    /// Get, then set.
    LostSums,
}

struct Flawed {
    store: MemoryStore,
    flaw: Flaw,
}

impl Flawed {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn written(&self, written: Written) -> Written {
        if self.has(Flaw::NoFencing) {
            Written::Done
        } else {
            written
        }
    }
}

const LONG: Duration = Duration::from_secs(1_000_000);

impl Store for Flawed {
    async fn claim(&self, mut request: ClaimRequest) -> Result<Claim, StoreError> {
        match self.flaw {
            Flaw::NoOwner => request.owner = OwnerId::random(),
            Flaw::NoFingerprint => {
                let fingerprint = Fingerprint::from_bytes([0; 32]);
                request.fingerprint = fingerprint;
                request.alias = request.alias.map(|alias| Alias {
                    fingerprint,
                    ..alias
                });
            }
            Flaw::NoLapse => request.lease = LONG,
            Flaw::NoRefuse => request.on_crash = OnCrash::TakeOver,
            Flaw::NoAlias => request.alias = None,
            Flaw::OneFingerprint => {
                let fingerprint = request.fingerprint;
                request.alias = request.alias.map(|alias| Alias {
                    fingerprint,
                    ..alias
                });
            }
            Flaw::LookThenClaim | Flaw::AliasFirst => {
                if let Some(alias) = request.alias {
                    let stored = self.store.inspect(alias.slot).await?.is_some();
                    if self.has(Flaw::LookThenClaim) {
                        tokio::task::yield_now().await;
                    }
                    let under = if stored { Under::Alias } else { Under::Slot };
                    let claim = self.store.claim(request.under(under)).await?;
                    return Ok(claim.found_under(under));
                }
            }
            _ => {}
        }
        let mut claim = self.store.claim(request).await?;
        match &mut claim {
            Claim::InFlight { .. } if self.has(Flaw::NoExclusion) => {
                claim = Claim::Claimed(Claimed {
                    fence: Fence::FIRST,
                    attempt: 1,
                    taken_over: false,
                    checkpoints: Vec::new(),
                    under: Under::Slot,
                });
            }
            Claim::Claimed(claimed) if self.has(Flaw::NoSteps) => claimed.checkpoints.clear(),
            _ => {}
        }
        if self.has(Flaw::Nameless) {
            claim = claim.found_under(Under::Slot);
        }
        Ok(claim)
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        if self.has(Flaw::NoRenewal) {
            return Ok(Written::Done);
        }
        Ok(self.written(self.store.renew(grant, lease).await?))
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        Ok(self.written(self.store.checkpoint(grant, step).await?))
    }

    async fn complete(
        &self,
        grant: Grant,
        mut record: Bytes,
        mut retention: Retention,
    ) -> Result<Written, StoreError> {
        match self.flaw {
            Flaw::NoGrace => retention.grace = Duration::ZERO,
            Flaw::NoExpiry => retention.ttl = LONG,
            Flaw::ShortColumns => record.truncate(65_535),
            _ => {}
        }
        Ok(self.written(self.store.complete(grant, record, retention).await?))
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        let view = self.store.inspect(grant.slot).await?;
        let released = view.is_some_and(|view| view.state == idem_core::SlotState::Released);
        if released && self.has(Flaw::ReleaseOnce) {
            return Ok(Written::Fenced);
        }
        Ok(self.written(self.store.release(grant, ttl).await?))
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        self.store.inspect(slot).await
    }

    async fn list(&self, mut query: ListQuery) -> Result<Page, StoreError> {
        if self.has(Flaw::NoFilter) {
            query.state = None;
        }
        let mut page = self.store.list(query).await?;
        if self.has(Flaw::OnePage) {
            page.next = None;
        }
        Ok(page)
    }

    async fn resolve(
        &self,
        slot: Slot,
        mut fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        if self.has(Flaw::BlindOperators)
            && let Some(view) = self.store.inspect(slot).await?
        {
            fence = view.fence;
        }
        self.store.resolve(slot, fence, operator, resolution).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        if self.has(Flaw::Ill) {
            return Err(StoreError::TimedOut(LONG));
        }
        self.store.health().await
    }

    fn refuses_alias(&self) -> Option<&'static str> {
        self.has(Flaw::RefusesAlias)
            .then_some("it has one slot a server")
    }

    fn meters(&self) -> bool {
        !self.has(Flaw::NoMeters)
    }

    async fn spend(
        &self,
        mut tag: ScopeTag,
        bytes: u64,
        mut window: Duration,
    ) -> Result<Spent, StoreError> {
        match self.flaw {
            Flaw::OneMeter => tag = ScopeTag::from_bytes([0; 16]),
            Flaw::NoReset => window = LONG,
            Flaw::FirstWindow => {
                let before = self.store.spend(tag, 0, Duration::ZERO).await?;
                if !before.resets_in.is_zero() {
                    window = before.resets_in;
                }
            }
            Flaw::SlidingWindow => {
                let before = self.store.spend(tag, 0, Duration::ZERO).await?;
                let spent = self.store.spend(tag, bytes, LONG).await?;
                return Ok(Spent {
                    resets_in: window,
                    total: spent.total.max(before.total),
                });
            }
            Flaw::LostSums => {
                let before = self.store.spend(tag, 0, window).await?;
                tokio::task::yield_now().await;
                let now = self.store.spend(tag, 0, window).await?;
                let lost = now.total - before.total;
                return self
                    .store
                    .spend(tag, bytes.saturating_sub(lost), window)
                    .await;
            }
            _ => {}
        }
        let mut spent = self.store.spend(tag, bytes, window).await?;
        if self.has(Flaw::NoSum) {
            spent.total = bytes;
        }
        Ok(spent)
    }
}

fn subject(flaw: Flaw) -> Subject<Flawed> {
    let store = MemoryStore::new();
    Subject::new(Arc::new(Flawed { store, flaw }), TestClock::paused())
}

async fn holds<F>(behaviour: impl FnOnce(Subject<Flawed>) -> F, flaw: Flaw) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(behaviour(subject(flaw))).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_aliases_is_asked_nothing_of_them_and_given_no_second_secret() {
    every_behaviour(|| async { subject(Flaw::RefusesAlias) }).await;
    let flawed = |flaw| {
        let store = MemoryStore::new();
        Runtime::builder(Flawed { store, flaw }).secret("new")
    };
    assert!(flawed(Flaw::RefusesAlias).build().is_ok());
    for builder in [
        flawed(Flaw::RefusesAlias).accept_secret("old"),
        flawed(Flaw::RefusesAlias).accept_no_secret(),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, PolicyError::SecondSecret { .. }));
        let said = error.to_string();
        assert!(said.contains("Flawed: it has one slot a server"), "{said}");
    }
    assert!(flawed(Flaw::None).accept_secret("old").build().is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_at_once_they_hold_or_each_that_does_not_is_named() {
    every_behaviour(|| async { subject(Flaw::None) }).await;
    let tried = tokio::spawn(async { every_behaviour(|| async { subject(Flaw::NoGrace) }).await });
    let panic = tried.await.unwrap_err().into_panic();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(
        said.contains("a_record_past_its_ttl_is_marked_and_still_answers: "),
        "{said}"
    );
    assert!(!said.contains("an_absent_slot_is_claimed"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_store_without_meters_is_a_store_and_cannot_limit_what_is_stored() {
    every_behaviour(|| async { subject(Flaw::NoMeters) }).await;
    let store = || Flawed {
        store: MemoryStore::new(),
        flaw: Flaw::NoMeters,
    };
    let limits = Limits {
        live_claims: Some(1),
        stored_bytes: None,
    };
    Runtime::builder(store()).limits(limits).build().unwrap();
    let limits = Limits {
        stored_bytes: Some(1),
        ..limits
    };
    let error = Runtime::builder(store())
        .limits(limits)
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("Store::spend"), "{error}");
    assert!(matches!(error, PolicyError::Unmetered { store } if store.ends_with("Flawed")));
}

macro_rules! each_flaw_is_seen {
    ($($flaw:ident: $($behaviour:ident),+;)+) => {
        #[tokio::test(start_paused = true)]
        async fn each_flaw_is_seen_by_the_behaviours_that_are_about_it() {
            $($(
                let (flaw, behaviour) = (stringify!($flaw), stringify!($behaviour));
                assert!(
                    holds($behaviour, Flaw::None).await,
                    "{behaviour} does not hold without a flaw"
                );
                assert!(
                    !holds($behaviour, Flaw::$flaw).await,
                    "{behaviour} does not see {flaw}"
                );
            )+)+
        }
    };
}

each_flaw_is_seen! {
    NoExclusion:
        a_live_lease_keeps_others_out,
        of_many_claims_at_once_one_wins,
        of_many_takeovers_at_once_one_wins,
        many_slots_at_once_have_one_owner_each;
    NoOwner:
        a_claim_whose_reply_was_lost_is_the_same_claim,
        a_takeover_whose_reply_was_lost_is_the_same_takeover;
    NoFingerprint:
        another_fingerprint_is_a_mismatch_whatever_the_state,
        a_mismatch_changes_nothing;
    NoLapse: a_lapsed_lease_is_taken_over;
    NoRefuse:
        nobody_takes_over_under_refuse,
        a_slot_under_refuse_is_never_gone;
    NoSteps:
        a_takeover_is_handed_the_finished_steps,
        a_release_keeps_the_finished_steps,
        steps_keep_their_order_and_a_name_is_replaced;
    NoFencing:
        an_old_fence_changes_nothing,
        another_owners_fence_of_the_same_number_changes_nothing,
        a_write_to_a_slot_that_is_gone_changes_nothing,
        a_fence_from_before_a_deletion_changes_nothing,
        a_completion_and_a_takeover_at_once_agree,
        an_owner_that_was_resolved_is_fenced;
    NoRenewal:
        a_renewal_starts_the_lease_anew,
        a_lapsed_lease_that_nobody_took_is_renewed;
    NoGrace: a_record_past_its_ttl_is_marked_and_still_answers;
    NoExpiry:
        a_record_past_its_ttl_is_marked_and_still_answers,
        a_record_past_its_grace_is_gone,
        a_record_without_grace_is_gone_at_its_ttl;
    ShortColumns: records_of_every_size_come_back_to_the_byte;
    ReleaseOnce: a_release_whose_reply_was_lost_is_the_same_release;
    BlindOperators: a_resolution_of_what_has_moved_changes_nothing;
    OnePage: a_list_has_every_slot_once;
    NoFilter: a_list_can_be_of_one_state;
    Ill: a_store_that_works_is_healthy;
    NoAlias:
        what_is_stored_under_the_alias_answers_whatever_its_state,
        a_claim_under_an_alias_goes_on_there_to_its_end,
        a_claim_by_two_names_whose_reply_was_lost_is_the_same_claim,
        of_two_slots_one_that_is_taken_keeps_the_other_from_running,
        of_opposite_claims_at_once_one_wins,
        of_opposite_takeovers_at_once_one_wins;
    LookThenClaim: of_opposite_claims_at_once_one_wins;
    OneFingerprint:
        what_is_stored_under_the_alias_answers_whatever_its_state,
        of_opposite_claims_at_once_one_wins;
    Nameless:
        what_is_stored_under_the_alias_answers_whatever_its_state,
        a_claim_under_an_alias_goes_on_there_to_its_end;
    AliasFirst: of_two_slots_one_that_is_taken_keeps_the_other_from_running;
    NoFingerprint: another_fingerprint_is_a_mismatch_under_the_alias_too;
    NoExpiry: an_alias_that_is_deleted_is_absent;
    NoSum: what_is_spent_adds_up;
    OneMeter: meters_do_not_see_each_other;
    NoReset: a_meter_starts_anew_after_its_window;
    SlidingWindow: a_meter_starts_anew_after_its_window;
    FirstWindow: the_longest_window_counts;
    LostSums: what_many_spend_at_once_adds_up;
}
