//! `idem`: the command line of idem.
//!
//! `idem hammer URL` sends a service of your own what clients send at their worst (duplicates in the
//! same instant, retries with another payload, connections that end in mid-flight, another user's
//! keys) and says for each promise of idempotency whether it holds.
//!
//! `idem list`, `inspect`, `stats`, `resolve` and `purge` are for who operates a service: they look at
//! its store, end slots whose owner is gone, and delete what has expired.
//!
//! | exit code | `hammer` | the others |
//! | --- | --- | --- |
//! | 0 | nothing that was seen is wrong | done, or shown |
//! | 1 | a promise is broken, or the service failed so that nobody can tell | not done: the slot is not there, has moved or is still owned, or the answer was no |
//! | 2 | nothing was tested: usage, a target that is refused or not there, a request that it refuses | usage, or the store: not there, not reached, without its tables |

mod given;
mod hammer;
mod operate;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

/// What hammers and operates services that are protected by idem.
#[derive(Debug, Parser)]
#[command(name = "idem", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hammer(Box<hammer::Args>),
    #[command(flatten)]
    Operate(Box<operate::Command>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done: Result<ExitCode, Box<dyn Error>> = match Cli::parse().command {
        Command::Hammer(args) => hammer::run(*args).await.map_err(Box::from),
        Command::Operate(command) => operate::run(*command).await.map_err(Box::from),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::from(2)
        }
    }
}

/// The error and what is behind it, without what has been said already.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
