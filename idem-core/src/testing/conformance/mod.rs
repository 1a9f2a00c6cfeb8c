//! The behaviours that define [`Store`](crate::Store).
//!
//! A store is whatever passes them: every verb with every outcome, lost replies, old fences,
//! races, and expiry on the store's own clock. Each behaviour is a function over a [`Subject`];
//! [`conformance!`](crate::conformance) makes a test of each:
//!
//! ```
//! use std::sync::Arc;
//! use idem_core::{MemoryStore, testing::{TestClock, conformance::Subject}};
//!
//! /// One store for one behaviour. It may share its server with all the others: every
//! /// behaviour draws slots of its own.
//! async fn memory() -> Subject<MemoryStore> {
//!     Subject::new(Arc::new(MemoryStore::new()), TestClock::paused())
//! }
//!
//! idem_core::conformance!(#[tokio::test(start_paused = true)] memory);
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! #     tokio::time::pause();
//! #     idem_core::testing::conformance::an_absent_slot_is_claimed(memory().await).await;
//! # }
//! ```
//!
//! The functions panic where a behaviour does not hold, and say which. Those about
//! [aliases](crate::ClaimRequest::alias) ask nothing of a store that [refuses
//! them](crate::Store::refuses_alias).

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "these functions are tests"
)]

mod case;
mod subject;
mod trials;

pub use self::subject::Subject;

/// Declares each behaviour once: as a public function, and as a test of [`conformance!`].
macro_rules! behaviours {
    ($dollar:tt $($module:ident: $($behaviour:ident),+;)+) => {
        $(
            mod $module;
            pub use self::$module::{$($behaviour),+};
        )+

        /// Tries every behaviour on a subject of its own, a few at a time, in this one
        /// test: for stores whose servers are too expensive to start for each.
        ///
        /// # Panics
        /// At the end, naming each behaviour that does not hold and what it said.
        pub async fn every_behaviour<S, F>(subject: impl Fn() -> F)
        where
            S: $crate::Store,
            F: Future<Output = Subject<S>>,
        {
            // Boxed, or this future would be as large as all of them together.
            let subject = || Box::pin(subject());
            let mut trials = trials::Trials::default();
            $($(
                let behaviour = Box::pin($behaviour(subject().await));
                trials.begin(stringify!($behaviour), behaviour).await;
            )+)+
            trials.end().await;
        }

        /// Makes one test of each behaviour in
        /// [`testing::conformance`](crate::testing::conformance). Takes the
        /// attribute that makes a function a test, and an `async fn` that
        /// makes a [`Subject`](crate::testing::conformance::Subject).
        #[macro_export]
        macro_rules! conformance {
            (#[$dollar($dollar attribute:tt)*] $dollar subject:path) => {
                $crate::conformance! {
                    @each [$dollar($dollar attribute)*] [$dollar subject] $($($behaviour)+)+
                }
            };
            (@each [$dollar($dollar attribute:tt)*] [$dollar subject:path]) => {};
            (@each $dollar attribute:tt $dollar subject:tt
                $dollar behaviour:ident $dollar($dollar rest:ident)*) => {
                $crate::conformance!(@one $dollar attribute $dollar subject $dollar behaviour);
                $crate::conformance!(@each $dollar attribute $dollar subject $dollar($dollar rest)*);
            };
            (@one [$dollar($dollar attribute:tt)*] [$dollar subject:path] $dollar behaviour:ident) => {
                #[$dollar($dollar attribute)*]
                async fn $dollar behaviour() {
                    $crate::testing::conformance::$dollar behaviour($dollar subject().await).await;
                }
            };
        }
    };
}

behaviours! { $
    claims:
        an_absent_slot_is_claimed,
        slots_do_not_see_each_other,
        a_live_lease_keeps_others_out,
        a_claim_whose_reply_was_lost_is_the_same_claim,
        another_fingerprint_is_a_mismatch_whatever_the_state,
        a_mismatch_changes_nothing,
        a_claim_of_the_longest_retention_is_held;
    takeover:
        a_lapsed_lease_is_taken_over,
        a_takeover_whose_reply_was_lost_is_the_same_takeover,
        the_silent_owner_cannot_claim_back_what_was_taken_over,
        nobody_takes_over_under_refuse,
        a_silent_owner_under_refuse_may_go_on,
        a_takeover_is_handed_the_finished_steps;
    release:
        a_released_slot_is_claimed_as_another_attempt,
        a_release_whose_reply_was_lost_is_the_same_release,
        a_late_copy_of_a_released_claim_wins_nothing,
        a_release_keeps_the_finished_steps,
        a_released_slot_ends_with_its_ttl;
    completion:
        a_completed_record_answers_every_claim,
        a_record_never_changes,
        a_completion_whose_reply_was_lost_is_the_same_completion,
        a_completed_slot_is_not_released_renewed_or_checkpointed,
        a_released_slot_is_not_completed,
        records_of_every_size_come_back_to_the_byte;
    lease:
        a_renewal_starts_the_lease_anew,
        a_lapsed_lease_that_nobody_took_is_renewed,
        a_lapsed_owner_that_nobody_replaced_may_complete,
        many_leases_are_renewed_as_each_alone;
    fencing:
        an_old_fence_changes_nothing,
        another_owners_fence_of_the_same_number_changes_nothing,
        a_write_to_a_slot_that_is_gone_changes_nothing,
        a_fence_from_before_a_deletion_changes_nothing;
    steps:
        steps_keep_their_order_and_a_name_is_replaced,
        steps_of_every_size_come_back_to_the_byte;
    expiry:
        a_record_past_its_ttl_is_marked_and_still_answers,
        a_record_past_its_grace_is_gone,
        a_record_without_grace_is_gone_at_its_ttl,
        an_abandoned_slot_is_gone_in_the_end_and_not_before,
        a_slot_under_refuse_is_never_gone;
    operators:
        an_absent_slot_has_no_view,
        a_view_shows_the_state_and_changes_nothing,
        an_operator_records_an_outcome,
        an_operator_gives_a_slot_back,
        a_resolution_whose_reply_was_lost_is_the_same_resolution,
        a_resolution_of_what_has_moved_changes_nothing,
        a_live_owner_is_not_resolved,
        an_owner_that_was_resolved_is_fenced;
    listing:
        a_list_has_every_slot_once,
        a_list_can_be_of_one_state;
    races:
        of_many_claims_at_once_one_wins,
        of_many_takeovers_at_once_one_wins,
        many_slots_at_once_have_one_owner_each,
        a_completion_and_a_takeover_at_once_agree,
        two_resolutions_at_once_agree;
    aliases:
        a_claim_that_finds_neither_name_is_of_its_own_slot,
        what_is_stored_under_the_alias_answers_whatever_its_state,
        what_is_stored_under_the_own_slot_answers_whatever_its_state,
        a_claim_under_an_alias_goes_on_there_to_its_end,
        another_fingerprint_is_a_mismatch_under_the_alias_too,
        a_claim_by_two_names_whose_reply_was_lost_is_the_same_claim,
        an_alias_that_is_deleted_is_absent,
        of_two_slots_one_that_is_taken_keeps_the_other_from_running,
        of_opposite_claims_at_once_one_wins,
        of_opposite_takeovers_at_once_one_wins;
    health:
        a_store_that_works_is_healthy;
    meters:
        what_is_spent_adds_up,
        meters_do_not_see_each_other,
        a_meter_starts_anew_after_its_window,
        the_longest_window_counts,
        what_many_spend_at_once_adds_up,
        a_meter_is_not_listed;
}
