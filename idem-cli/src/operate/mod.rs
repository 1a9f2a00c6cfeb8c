//! What operators do: look at slots, end those whose owner is gone, count, delete what has expired.
//!
//! | station | file |
//! | --- | --- |
//! | where the store is, and what may be printed of that | `address.rs` |
//! | the store, which is never made and never migrated | `store.rs` |
//! | all pages of a list | `pages.rs` |
//! | which slot is meant: by its digits, by the first of them, by its key | `which.rs` |
//! | the keys that records are sealed with | `keys.rs` |
//! | a slot for people, and as JSON | `view.rs` |
//! | what a record holds | `answer.rs` |
//! | the commands | `inspect.rs`, `list.rs`, `resolve.rs`, `stats.rs`, `purge.rs` |
//! | the record that an operator gives a slot | `decision.rs` |
//! | the question before a decision, and the event behind it | `confirm.rs`, `audit.rs` |
//! | tables, durations, stdout | `table.rs`, `output.rs` |
//! | why a command was not carried out | `error.rs` |

mod address;
mod answer;
mod audit;
mod confirm;
mod decision;
mod error;
mod inspect;
mod keys;
mod list;
mod output;
mod pages;
mod purge;
mod resolve;
mod stats;
mod store;
mod table;
mod view;
mod which;

use std::process::ExitCode;

pub(crate) use error::OperateError;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Inspect(inspect::Args),
    List(list::Args),
    Resolve(resolve::Args),
    Stats(stats::Args),
    Purge(purge::Args),
}

/// Carries the command out.
///
/// # Errors
/// Usage, or the store; the error says what to do.
pub(crate) async fn run(command: Command) -> Result<ExitCode, OperateError> {
    let done = match command {
        Command::Inspect(args) => inspect::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Resolve(args) => resolve::run(args).await,
        Command::Stats(args) => stats::run(args).await,
        Command::Purge(args) => purge::run(args).await,
    }?;
    Ok(match done {
        Done::Yes => ExitCode::SUCCESS,
        Done::No => ExitCode::from(1),
    })
}

/// Whether what was asked for has been done, or was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    No,
}
