//! The whole of a run.

use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
};

use clap::ValueEnum;

use crate::{
    contestants::{Contestant, NEEDS_OF_ITS_REDIS},
    effort::Effort,
    error::Error,
    inspection,
    machine::{self, Machine},
    plot,
    progress::Progress,
    report,
    results::Results,
    rounds,
    servers::Servers,
};

pub(crate) async fn run(effort: &Effort) -> Result<(), Error> {
    let write = |path: PathBuf| move |source| Error::Write { path, source };
    // Now, and not after minutes.
    fs::create_dir_all(&effort.out).map_err(write(effort.out.clone()))?;
    let wanted = wanted(effort);
    let servers = Servers::start(&wanted).await?;
    let (contestants, notes) = fit(wanted, effort, servers.expires_fields().await?)?;
    let machine = Machine::look(servers.versions().await);
    let turns = usize::from(effort.rounds) * effort.connections().len() * contestants.len();
    let progress = Progress::new(turns + contestants.len());
    progress.say(&machine.line());
    for note in &notes {
        progress.say(note);
    }
    let sha256 = machine::sha256_per_second();
    let (cells, ping) = rounds::run(&contestants, &servers, effort, &progress).await?;
    let mut inspections = Vec::new();
    for &contestant in &contestants {
        progress.inspect(contestant);
        inspections.push(inspection::inspect(contestant, &servers, effort).await?);
    }
    progress.clear();
    let results = Results {
        machine,
        rounds: effort.rounds.into(),
        window: effort.seconds_per_round,
        connections: effort.connections(),
        contestants,
        cells,
        inspections,
        ping,
        sha256,
        notes,
    };
    let text = report::render(&results);
    for (name, content) in [("load.md", &text), ("load.svg", &plot::draw(&results)?)] {
        let path = effort.out.join(name);
        fs::write(&path, content).map_err(write(path.clone()))?;
        progress.say(&format!("written: {}", path.display()));
    }
    // Whoever does not read it to its end has the file.
    let _ = writeln!(stdout(), "\n{text}");
    Ok(())
}

/// In the order of the tables.
fn wanted(effort: &Effort) -> Vec<Contestant> {
    Contestant::value_variants()
        .iter()
        .copied()
        .filter(|contestant| effort.only.is_empty() || effort.only.contains(contestant))
        .collect()
}

/// Of the peer's stores the one over Redis takes part, or the nearest if this Redis is too old for it.
fn fit(
    mut contestants: Vec<Contestant>,
    effort: &Effort,
    expires_fields: bool,
) -> Result<(Vec<Contestant>, Vec<String>), Error> {
    let mut notes = Vec::new();
    let peer = Contestant::PeerRedis;
    if contestants.contains(&peer) && !expires_fields {
        if !effort.only.is_empty() {
            return Err(Error::Unfit {
                contestant: peer,
                why: NEEDS_OF_ITS_REDIS,
            });
        }
        notes.push(format!(
            "{peer} takes no part: {NEEDS_OF_ITS_REDIS}. It takes part with its memory store instead."
        ));
        contestants.retain(|contestant| *contestant != peer);
    } else if effort.only.is_empty() {
        contestants.retain(|contestant| *contestant != Contestant::PeerMemory);
    }
    Ok((contestants, notes))
}
