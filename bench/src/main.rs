//! One load against idem on each of its stores, beside the bare handler, what one would write by hand,
//! and the nearest other crate; each an HTTP server in a process of its own.
//!
//! `cargo run --release -p idem-bench` starts its own Redis and PostgreSQL, takes about four minutes, and
//! writes `docs/load.md` and `docs/load.svg`. Everything is on the loopback interface.
//!
//! From the command line one way through the files: what is asked for (`effort`), who takes part
//! (`contestants`, `servers`), the turns (`rounds`, over `child`, `load` and `measure`) and what else is
//! looked at (`inspection`), and what is shown (`report`, `plot`).

#![forbid(unsafe_code)]

mod allocations;
mod child;
mod contestants;
mod effort;
mod error;
mod inspection;
mod load;
mod machine;
mod measure;
mod order;
mod plot;
mod process;
mod progress;
mod report;
mod results;
mod rounds;
mod run;
mod serve;
mod servers;
mod summary;
mod table;
mod workload;

use std::{error::Error as _, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use contestants::Contestant;
use effort::Effort;
use error::Error;

/// One load against idem on each of its stores, and against what else one could do.
///
/// Starts its own Redis and PostgreSQL, on the loopback interface and in temporary directories, and leaves
/// nothing behind but load.md and load.svg.
#[derive(Debug, Parser)]
#[command(
    name = "idem-bench",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    effort: Effort,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be one contestant's server, until the input ends.
    #[command(hide = true)]
    Serve {
        contestant: Contestant,
        /// The address of its store's server, or the directory of its file.
        #[arg(long, default_value = "")]
        at: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Serve { contestant, at }) => serve::serve(contestant, &at).await,
        None => unless_interrupted(Box::pin(run::run(&cli.effort))).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// A run that is dropped ends its servers and removes its files.
async fn unless_interrupted(run: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(Error::Signals);
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::select! {
        done = run => done,
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    }
}

/// The error and what is behind it.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
