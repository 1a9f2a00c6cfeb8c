//! Plays schedules of the simulation: many, or one again.
//!
//! ```text
//! cargo run --release -p idem-proof --bin simulate -- --schedules 1000000 [--seed 0] [--profile Stops]
//! SEED=17 PROFILE=Stops cargo run -p idem-proof --bin simulate
//! ```

#![forbid(unsafe_code)]

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use idem_proof::sim::{Coverage, Options, Profile, run};

/// How often there is something to see.
const PROGRESS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match asked() {
        Ok(asked) => play(&asked),
        Err(mistake) => {
            eprintln!("{mistake}\nusage: simulate [--schedules N] [--seed S] [--profile P]");
            ExitCode::from(2)
        }
    }
}

struct Asked {
    first: u64,
    schedules: u64,
    options: Options,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        first: 0,
        schedules: 10_000,
        options: Options {
            profile: None,
            defect: None,
        },
    };
    if let Ok(seed) = env::var("SEED") {
        asked.first = number(&seed)?;
        asked.schedules = 1;
    }
    if let Ok(name) = env::var("PROFILE") {
        asked.options.profile = Some(profile(&name)?);
    }
    let mut given = env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--schedules" => asked.schedules = number(&value)?,
            "--seed" => asked.first = number(&value)?,
            "--profile" => asked.options.profile = Some(profile(&value)?),
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok(asked)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number"))
}

fn profile(name: &str) -> Result<Profile, String> {
    let mut all = Profile::ALL.into_iter();
    all.find(|profile| format!("{profile:?}").eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("{name:?} is none of {:?}", Profile::ALL))
}

fn play(asked: &Asked) -> ExitCode {
    let start = Instant::now();
    let mut told = start;
    let mut coverage = Coverage::default();
    let mut broken = 0_u64;
    for (number, seed) in (asked.first..)
        .take(usize::try_from(asked.schedules).unwrap_or(usize::MAX))
        .enumerate()
    {
        let played = run(seed, asked.options);
        coverage.add(&played);
        if asked.schedules == 1 {
            println!("{}", played.history);
        }
        if !played.verdict.is_clean() {
            broken += 1;
            println!("seed {seed} ({:?}):", played.profile);
            if broken <= 3 {
                println!("{}", played.verdict.explain(&played.history));
            } else if let Some(first) = played.verdict.violations.first() {
                println!("{first}");
            }
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            let rate = number as f64 / start.elapsed().as_secs_f64();
            eprintln!(
                "{number} schedules, {rate:.0} a second, {} distinct outcomes, {broken} broken",
                coverage.outcomes()
            );
        }
    }
    println!("{coverage}");
    println!(
        "{broken} of {} broken, in {:.1?}",
        asked.schedules,
        start.elapsed()
    );
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
