//! Contestants that take turns, so that whatever slows the machine for a while slows them all.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// How often, and how long each time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// How long a contestant has its turn, about.
    pub(crate) turn: Duration,
}

/// Something that says how long it has taken once.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) once: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contestant<'a> {
    /// Work that is timed as a whole.
    pub(crate) fn new<T>(name: &'static str, mut work: impl FnMut() -> T + 'a) -> Self {
        let once = Box::new(move || {
            let started = Instant::now();
            black_box(work());
            started.elapsed()
        });
        Self { name, once }
    }
}

/// What a contestant has shown: nanoseconds an operation, in each round.
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    rounds: Vec<f64>,
}

impl Shown {
    pub(crate) fn nanoseconds(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// The median of what the rounds say, each of itself: two turns of one round are near to
    /// one another.
    pub(crate) fn over(&self, baseline: &Self) -> f64 {
        let each = self.rounds.iter().zip(&baseline.rounds);
        median(each.map(|(mine, base)| mine / base).collect())
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

pub(crate) fn race(mut contestants: Vec<Contestant<'_>>, effort: Effort) -> Vec<Shown> {
    let mut shown: Vec<Shown> = contestants
        .iter()
        .map(|contestant| Shown {
            name: contestant.name,
            rounds: Vec::new(),
        })
        .collect();
    // The first round warms up.
    for round in 0..=effort.rounds {
        for (contestant, shown) in contestants.iter_mut().zip(&mut shown) {
            let turn = turn(contestant, effort.turn);
            if round > 0 {
                shown.rounds.push(turn);
            }
        }
    }
    shown
}

fn turn(contestant: &mut Contestant<'_>, length: Duration) -> f64 {
    let (mut took, mut times) = (Duration::ZERO, 0_u32);
    while times == 0 || took < length {
        took += (contestant.once)();
        times += 1;
    }
    took.as_nanos() as f64 / f64::from(times)
}
