//! What can end a run.

use std::{io, path::PathBuf, process::ExitStatus};

use hyper::StatusCode;

use crate::contestants::Contestant;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It says what is missing and how to get it.
    #[error("{server} could not be started: {why}")]
    Server { server: &'static str, why: String },
    #[error("Redis did not answer")]
    Redis(#[from] redis::RedisError),
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
    #[error("interrupted; nothing was written")]
    Interrupted,
    #[error("\"{contestant}\" cannot take part: {why}")]
    Unfit {
        contestant: Contestant,
        why: &'static str,
    },
    #[error("\"{0}\" has answered nothing in a round")]
    Silent(Contestant),
    #[error("the server of \"{contestant}\" could not be started")]
    Spawn {
        contestant: Contestant,
        source: io::Error,
    },
    #[error("the server of \"{contestant}\" said nothing of where it listens: {status}")]
    Ended {
        contestant: Contestant,
        status: ExitStatus,
    },
    #[error("the server of \"{contestant}\" could not be reached")]
    Connect {
        contestant: Contestant,
        source: io::Error,
    },
    #[error("a request to \"{contestant}\" ({what}) had no answer")]
    Unanswered {
        contestant: Contestant,
        what: &'static str,
        source: hyper::Error,
    },
    #[error("\"{contestant}\" gave a wrong answer to {what}: {status} {text}")]
    Wrong {
        contestant: Contestant,
        what: &'static str,
        status: StatusCode,
        text: String,
    },
    #[error(
        "\"{contestant}\" executed {executed} times what it should have executed {expected} times ({what})"
    )]
    Executed {
        contestant: Contestant,
        what: &'static str,
        executed: u64,
        expected: u64,
    },
    #[error("a task of the load ended early")]
    Task(#[from] tokio::task::JoinError),
    #[error("a request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("JSON that is not what it should be")]
    Json(#[from] serde_json::Error),
    #[error("the contestant's store")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the contestant's server")]
    Serve(#[source] io::Error),
    #[error("{path} cannot be written")]
    Write { path: PathBuf, source: io::Error },
    #[error("a directory for the contestants' files")]
    Scratch(#[source] io::Error),
    #[error("the plot cannot be drawn: {0}")]
    Plot(String),
}

impl Error {
    /// For what goes wrong with a store, whose errors have a type each.
    pub(crate) fn store(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Store(Box::new(error))
    }
}
