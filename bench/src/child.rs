//! The side of the run: a contestant's process, from its start to its end.

use std::{env, net::SocketAddr, process::Stdio, time::Duration};

use hyper::StatusCode;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{self, ChildStdin, Command},
    time::timeout,
};

use crate::{contestants::Contestant, error::Error, load::Connection, serve::Stats};

/// How long it may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a contestant keeps what it keeps.
#[derive(Debug)]
pub(crate) struct Home {
    /// The address of a server, or the directory.
    pub(crate) at: String,
    /// The directory, for as long as somebody needs it.
    pub(crate) directory: Option<TempDir>,
}

/// It is killed when this is dropped, and ends by itself when the run has gone.
#[derive(Debug)]
pub(crate) struct Child {
    contestant: Contestant,
    process: process::Child,
    /// It serves until this is closed.
    input: ChildStdin,
    pid: u32,
    address: SocketAddr,
    control: Connection,
    _home: Home,
}

impl Child {
    pub(crate) async fn start(contestant: Contestant, home: Home) -> Result<Self, Error> {
        let failed = |source| Error::Spawn { contestant, source };
        let mut process = Command::new(env::current_exe().map_err(failed)?)
            .arg("serve")
            .arg(contestant.name())
            .args(["--at", &home.at])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let none = || failed(std::io::ErrorKind::BrokenPipe.into());
        let input = process.stdin.take().ok_or_else(none)?;
        let output = process.stdout.take().ok_or_else(none)?;
        let pid = process.id().ok_or_else(none)?;
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .await
            .map_err(failed)?;
        let Ok(address) = line.trim().parse() else {
            drop(input);
            let status = process.wait().await.map_err(failed)?;
            return Err(Error::Ended { contestant, status });
        };
        Ok(Self {
            contestant,
            process,
            input,
            pid,
            address,
            control: Connection::open(contestant, address).await?,
            _home: home,
        })
    }

    pub(crate) fn contestant(&self) -> Contestant {
        self.contestant
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) async fn stats(&mut self) -> Result<Stats, Error> {
        self.ask("/stats").await
    }

    /// The bytes of what it has stored, if it can tell.
    pub(crate) async fn stored(&mut self) -> Result<Option<i64>, Error> {
        self.ask("/stored").await
    }

    async fn ask<T: DeserializeOwned>(&mut self, path: &'static str) -> Result<T, Error> {
        let answer = self.control.get(path).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.wrong(self.contestant, path));
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        drop(self.input);
        if timeout(PATIENCE, self.process.wait()).await.is_err() {
            // It has gone by then or goes with this value.
            let _ = self.process.kill().await;
        }
    }
}
