//! From a call to a claim: won, or the reason why not.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Inner,
    commands::Failed,
    limits::{Met, Seat},
    names::Named,
    rescue::Engaged,
    waiters::Waiter,
};
use crate::{
    Alias, Claim, ClaimRequest, Completed, Execution, Grant, Under, backoff::Backoff, clock::after,
    telemetry,
};

/// How often to ask for a slot that another process owns.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) enum Admission<T> {
    Won(T),
    Lost(Rivals),
    /// Nothing that can be told is there, and the scope may not start anything.
    Limited(Met),
    StoreFailed(Failed),
}

/// Whose the slot is, if it is not the caller's.
pub(super) enum Rivals {
    Completed(Completed),
    InFlight { lease_left: Duration },
    Mismatch,
    Unknown,
}

impl Rivals {
    /// What the call ends with instead of running.
    pub(super) fn answer<A>(self, inner: &Inner, call: &Named) -> Execution<A> {
        match self {
            Self::Completed(completed) => {
                let sealer = inner.sealer(call);
                sealer.replay(call, completed.record, completed.expired)
            }
            Self::InFlight { lease_left } => Execution::InProgress { lease_left },
            Self::Mismatch => Execution::KeyReused,
            Self::Unknown => Execution::OutcomeUnknown,
        }
    }
}

/// Claims the call's slot with `claim`, and waits for it where the call says so.
/// A scope at its limit is told what is there without a claim.
/// The execution is engaged while a claim is on its way, and stays so if it is won.
/// The call stands under the name that was answered from then on.
pub(super) async fn admit<T, F>(
    inner: &Inner,
    call: &mut Named,
    engaged: &Engaged,
    claim: impl Fn(Option<Seat>) -> F,
) -> Admission<T>
where
    F: Future<Output = Result<Result<(T, Under), Claim>, Failed>>,
{
    // Without a wait the first look is the last: no clock is asked for it.
    let wait = Some(call.settings.wait).filter(|wait| !wait.is_zero());
    let give_up = wait.map(|wait| after(Instant::now(), wait));
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut waiter: Option<Waiter> = None;
    loop {
        if let Some(rivals) = inner.kept(call) {
            return ended(waiter, rivals);
        }
        let asked = inner.asking();
        let claim = match seated(inner, call).await {
            Seated::Told(claim) => claim,
            Seated::Limited(met) => return Admission::Limited(met),
            Seated::StoreFailed(failed) => return Admission::StoreFailed(failed),
            Seated::MayClaim(seat) => {
                engaged.set(true);
                match claim(seat).await {
                    Ok(Ok((won, under))) => {
                        call.stands_under(under);
                        return Admission::Won(won);
                    }
                    Ok(Err(claim)) => {
                        engaged.set(false);
                        claim
                    }
                    Err(failed) => {
                        engaged.set(false);
                        return Admission::StoreFailed(failed);
                    }
                }
            }
        };
        let lease_left = match claim {
            Claim::Completed(completed) => {
                call.stands_under(completed.under);
                inner.keep(call.own(), asked, &completed);
                return ended(waiter, Rivals::Completed(completed));
            }
            Claim::Mismatch => return ended(waiter, Rivals::Mismatch),
            Claim::Unknown => return ended(waiter, Rivals::Unknown),
            Claim::InFlight { lease_left } => lease_left,
            // It would have been won.
            Claim::Claimed(_) => Duration::ZERO,
        };
        let now = Instant::now();
        let Some(give_up) = give_up.filter(|give_up| now < *give_up) else {
            return Admission::Lost(Rivals::InFlight { lease_left });
        };
        let Some(waiter) = &mut waiter else {
            // Claim again: what ends between the claim and this line is not announced.
            waiter = Some(inner.waiters.join(call.own_slot()));
            continue;
        };
        let lapse = after(now, lease_left.max(FIRST_PAUSE));
        let look_again = if waiter.is_owned_here() {
            lapse
        } else {
            lapse.min(after(now, backoff.pause()))
        };
        Box::pin(waiter.changed(look_again, give_up)).await;
    }
}

impl Inner {
    /// What the store would say of the call, if this process knows it.
    fn kept(&self, call: &mut Named) -> Option<Rivals> {
        let rivals = self.replays.as_ref()?.find(call.own())?;
        if let Rivals::Completed(completed) = &rivals {
            call.stands_under(completed.under);
            telemetry::replayed_from_cache(call);
        }
        Some(rivals)
    }

    /// When the store is asked for what may be remembered. `None`: nothing is.
    pub(super) fn asking(&self) -> Option<Instant> {
        self.replays.is_some().then(Instant::now)
    }

    /// Remembers what the store has said of a call of this name since it was `asked`.
    pub(super) fn keep(&self, name: Alias, asked: Option<Instant>, completed: &Completed) {
        if let (Some(replays), Some(asked)) = (&self.replays, asked) {
            replays.keep(name, completed, asked);
        }
    }
}

/// Whether a call may claim its slot.
enum Seated {
    MayClaim(Option<Seat>),
    /// Its scope is at a limit, and this is what the slot has for it.
    Told(Claim),
    Limited(Met),
    StoreFailed(Failed),
}

async fn seated(inner: &Inner, call: &Named) -> Seated {
    if let Ok(seat) = inner.enter(call) {
        return Seated::MayClaim(seat);
    }
    match Box::pin(inner.standing(call)).await {
        Ok(Some(claim)) => Seated::Told(claim),
        Err(failed) => Seated::StoreFailed(failed),
        // What took the last seat may have been a duplicate's claim, which is over by now.
        Ok(None) => match inner.enter(call) {
            Ok(seat) => Seated::MayClaim(seat),
            Err(met) => Seated::Limited(met),
        },
    }
}

/// The slot is in flight no more: those who wait for it here are told.
fn ended<T>(waiter: Option<Waiter>, rivals: Rivals) -> Admission<T> {
    if let Some(waiter) = waiter {
        waiter.tell();
    }
    Admission::Lost(rivals)
}

/// A claim that had no answer may have been applied, and then blocks the slot
/// for a whole lease although nothing runs. Asks until there is an answer, and
/// gives a won slot back. Bounded in number: beyond it the leases lapse.
pub(super) fn settle(inner: &Arc<Inner>, request: ClaimRequest) {
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
            match inner.commands.claim(&request).await {
                Ok(Claim::Claimed(claimed)) => {
                    let grant = Grant {
                        slot: request.under(claimed.under).slot,
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
