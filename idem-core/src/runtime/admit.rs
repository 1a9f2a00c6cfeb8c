//! From a call to a claim: won, or the reason why not.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Inner, hold::Hold, rescue::Engaged, waiters::Waiter};
use crate::{
    Call, Claim, ClaimRequest, Completed, Grant, OwnerId, StoreError, backoff::Backoff,
    clock::after,
};

/// How often to ask for a slot that another process owns.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) enum Admission {
    Won {
        hold: Hold,
        attempt: u32,
        taken_over: bool,
    },
    Completed(Completed),
    InFlight {
        lease_left: Duration,
    },
    Mismatch,
    Unknown,
    StoreFailed(StoreError),
}

/// Claims the call's slot, and waits for it where the call says so. The
/// execution is engaged while a claim is on its way, and stays so if it is won.
pub(super) async fn admit(inner: &Arc<Inner>, call: &Call, engaged: &Engaged) -> Admission {
    let request = ClaimRequest {
        slot: call.slot,
        fingerprint: call.fingerprint,
        owner: OwnerId::random(),
        lease: call.settings.lease,
        retention: call.settings.retention,
        on_crash: call.settings.on_crash,
    };
    let give_up = after(Instant::now(), call.settings.wait);
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut waiter: Option<Waiter> = None;
    loop {
        engaged.set(true);
        let sent = Instant::now();
        let claim = inner.commands.claim(request).await;
        if let Ok(Claim::Claimed(claimed)) = claim {
            return Admission::Won {
                hold: Hold::new(inner, call, request.owner, &claimed, sent),
                attempt: claimed.attempt,
                taken_over: claimed.taken_over,
            };
        }
        engaged.set(false);
        let lease_left = match claim {
            Ok(Claim::Claimed(_)) => continue, // returned above
            Ok(Claim::Completed(completed)) => {
                return ended(waiter, Admission::Completed(completed));
            }
            Ok(Claim::Mismatch) => return ended(waiter, Admission::Mismatch),
            Ok(Claim::Unknown) => return ended(waiter, Admission::Unknown),
            Ok(Claim::InFlight { lease_left }) => lease_left,
            Err(failed) => {
                if failed.maybe_applied {
                    settle(inner, request);
                }
                return Admission::StoreFailed(failed.error);
            }
        };
        let now = Instant::now();
        if now >= give_up {
            return Admission::InFlight { lease_left };
        }
        let Some(waiter) = &mut waiter else {
            // Claim again: what ends between the claim and this line is not announced.
            waiter = Some(inner.waiters.join(call.slot));
            continue;
        };
        let lapse = after(now, lease_left.max(FIRST_PAUSE));
        let look_again = if waiter.is_owned_here() {
            lapse
        } else {
            lapse.min(after(now, backoff.pause()))
        };
        waiter.changed(look_again, give_up).await;
    }
}

/// The slot is in flight no more: those who wait for it here are told.
fn ended(waiter: Option<Waiter>, admission: Admission) -> Admission {
    if let Some(waiter) = waiter {
        waiter.tell();
    }
    admission
}

/// A claim that had no answer may have been applied, and then blocks the slot
/// for a whole lease although nothing runs. Asks until there is an answer, and
/// gives a won slot back. Bounded in number: beyond it the leases lapse.
fn settle(inner: &Arc<Inner>, request: ClaimRequest) {
    let Ok(permit) = Arc::clone(&inner.settling).try_acquire_owned() else {
        return;
    };
    let inner = Arc::clone(inner);
    let token = inner.tracker.token();
    tokio::spawn(async move {
        let give_up = after(Instant::now(), request.lease);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while Instant::now() < give_up {
            sleep(backoff.pause()).await;
            match inner.commands.claim(request).await {
                Ok(Claim::Claimed(claimed)) => {
                    let grant = Grant {
                        slot: request.slot,
                        owner: request.owner,
                        fence: claimed.fence,
                    };
                    // Its failure leaves what was there before: a lease that lapses.
                    let _ = inner.commands.release(grant, request.retention.ttl).await;
                    inner.waiters.wake(&request.slot);
                    break;
                }
                Ok(_) => break,
                Err(_) => {}
            }
        }
        drop((permit, token));
    });
}
