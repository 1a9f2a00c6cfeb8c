//! Which fault each command meets, and what was asked so far.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::fault::{Fault, Odds, Verb};

/// Which fault each command of a [`ChaosStore`](super::ChaosStore) meets.
///
/// A scripted fault ([`next`](Self::next), then [`always`](Self::always)) comes
/// before one that is drawn from the seed.
#[derive(Clone, Default)]
pub struct Plan(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: HashMap<Verb, VecDeque<Option<Fault>>>,
    always: HashMap<Verb, Fault>,
    drawn: Option<(StdRng, Odds)>,
    calls: HashMap<Verb, u64>,
    faults: u64,
}

impl Plan {
    /// The next command of this kind meets this fault; called again, the one after it.
    pub fn next(&self, verb: Verb, fault: Fault) {
        self.lock()
            .next
            .entry(verb)
            .or_default()
            .push_back(Some(fault));
    }

    /// So many commands of this kind behave before what [`next`](Self::next) adds after this.
    pub fn spare(&self, verb: Verb, commands: usize) {
        let mut state = self.lock();
        let queue = state.next.entry(verb).or_default();
        queue.extend(std::iter::repeat_n(None, commands));
    }

    /// From now on every command of this kind meets this fault.
    pub fn always(&self, verb: Verb, fault: Fault) {
        self.lock().always.insert(verb, fault);
    }

    /// From now on every command draws its fault from this seed.
    pub fn seed(&self, seed: u64, odds: Odds) {
        self.lock().drawn = Some((StdRng::seed_from_u64(seed), odds));
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.next.clear();
        state.always.clear();
        state.drawn = None;
    }

    /// How many commands of this kind were sent so far.
    #[must_use]
    pub fn calls(&self, verb: Verb) -> u64 {
        self.lock().calls.get(&verb).copied().unwrap_or(0)
    }

    /// How many commands met a fault so far.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.lock().faults
    }

    pub(super) fn fault(&self, verb: Verb) -> Option<Fault> {
        let mut state = self.lock();
        *state.calls.entry(verb).or_default() += 1;
        let fault = state.choose(verb);
        state.faults += u64::from(fault.is_some());
        fault
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn choose(&mut self, verb: Verb) -> Option<Fault> {
        if let Some(scripted) = self.next.get_mut(&verb).and_then(VecDeque::pop_front) {
            return scripted;
        }
        if let Some(fault) = self.always.get(&verb) {
            return Some(*fault);
        }
        let (random, odds) = self.drawn.as_mut()?;
        draw(random, odds)
    }
}

fn draw(random: &mut StdRng, odds: &Odds) -> Option<Fault> {
    // Always the same number of draws, so that one command's fault does not shift the next one's.
    let hit = random.random_range(0..100) < odds.percent;
    let kind = random.random_range(0..if odds.hang { 9 } else { 7 });
    let delay = odds.longest_delay.mul_f64(random.random::<f64>());
    hit.then(|| fault(kind, delay))
}

const fn fault(kind: u8, delay: Duration) -> Fault {
    match kind {
        0 => Fault::DelayBefore(delay),
        1 => Fault::DelayAfter(delay),
        2 => Fault::FailBefore,
        3 => Fault::LoseCommand,
        4 => Fault::FailAfter,
        5 => Fault::Late(delay),
        6 => Fault::Twice,
        7 => Fault::HangBefore,
        _ => Fault::HangAfter,
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Plan")
            .field("calls", &state.calls)
            .field("faults", &state.faults)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, percent: u8) -> Vec<Option<Fault>> {
        let plan = Plan::default();
        let odds = Odds {
            percent,
            ..Odds::default()
        };
        plan.seed(seed, odds);
        (0..1_000).map(|_| plan.fault(Verb::Claim)).collect()
    }

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(drawn(1, 20), drawn(1, 20));
        assert_ne!(drawn(1, 20), drawn(2, 20));
    }

    #[test]
    fn the_odds_hold() {
        assert!(drawn(1, 0).iter().all(Option::is_none));
        assert!(drawn(1, 100).iter().all(Option::is_some));
        let hits = drawn(1, 20).iter().flatten().count();
        assert!((150..250).contains(&hits), "{hits}");
    }

    #[test]
    fn every_kind_of_fault_is_drawn_and_hanging_only_if_allowed() {
        let kinds = |hang| {
            let mut random = StdRng::seed_from_u64(7);
            let odds = Odds {
                percent: 100,
                hang,
                ..Odds::default()
            };
            let faults = (0..1_000).filter_map(move |_| draw(&mut random, &odds));
            faults
                .map(|fault| std::mem::discriminant(&fault))
                .collect::<std::collections::HashSet<_>>()
        };
        assert_eq!(kinds(true).len(), 9);
        assert_eq!(kinds(false).len(), 7);
        assert!(!kinds(false).contains(&std::mem::discriminant(&Fault::HangBefore)));
        assert!(!kinds(false).contains(&std::mem::discriminant(&Fault::HangAfter)));
    }

    #[test]
    fn a_script_comes_before_the_seed_in_its_order() {
        let plan = Plan::default();
        let odds = Odds {
            percent: 0,
            ..Odds::default()
        };
        plan.seed(1, odds);
        plan.spare(Verb::Claim, 1);
        plan.next(Verb::Claim, Fault::FailAfter);
        plan.always(Verb::Claim, Fault::FailBefore);
        assert_eq!(plan.fault(Verb::Claim), None);
        assert_eq!(plan.fault(Verb::Claim), Some(Fault::FailAfter));
        assert_eq!(plan.fault(Verb::Claim), Some(Fault::FailBefore));
        assert_eq!(plan.fault(Verb::Renew), None);
        plan.clear();
        assert_eq!(plan.fault(Verb::Claim), None);
        assert_eq!((plan.calls(Verb::Claim), plan.faults()), (4, 2));
    }
}
