//! Plays schedules of the simulation.
fn main() {
    let n: u64 = std::env::args().nth(1).map_or(100, |n| n.parse().unwrap());
    let first: u64 = std::env::args().nth(2).map_or(0, |n| n.parse().unwrap());
    let start = std::time::Instant::now();
    let mut bad = 0;
    let mut events = 0;
    for seed in first..first + n {
        let played = idem_proof::sim::run(
            seed,
            idem_proof::sim::Options {
                profile: None,
                defect: None,
            },
        );
        events += played.history.events.len();
        if !played.verdict.is_clean() {
            bad += 1;
            println!(
                "{seed} {:?} {}",
                played.profile, played.verdict.violations[0]
            );
        }
        if n == 1 {
            println!("{}", played.history);
            println!("{}", played.verdict.explain(&played.history));
        }
    }
    println!("{bad} of {n} bad, {events} events, {:?}", start.elapsed());
}
