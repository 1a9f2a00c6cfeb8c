//! Counts what really happened, across processes and crashes.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::caller::Caller;

/// One line for each execution of a handler: `ROUTE NAME USER KEY`.
#[derive(Clone)]
pub(crate) struct Effects(Arc<Ledger>);

enum Ledger {
    Memory(Mutex<Vec<String>>),
    File { path: PathBuf, file: File },
}

impl Effects {
    pub(crate) fn open(path: Option<OsString>) -> io::Result<Self> {
        Ok(Self(Arc::new(match path {
            None => Ledger::Memory(Mutex::default()),
            Some(path) => Ledger::File {
                file: OpenOptions::new().append(true).create(true).open(&path)?,
                path: path.into(),
            },
        })))
    }

    /// Notes one execution, and answers how many its name has had by now. When
    /// this returns, the line outlives the process and the machine's power.
    pub(crate) async fn happen(&self, route: &'static str, caller: &Caller) -> io::Result<usize> {
        let Caller { user, name, key } = caller;
        let line = format!("{route} {name} {user} {key}");
        let (ledger, name) = (Arc::clone(&self.0), name.clone());
        blocking(move || {
            ledger.append(&line)?;
            ledger.count(&name)
        })
        .await
    }

    pub(crate) async fn count(&self, name: String) -> io::Result<usize> {
        let ledger = Arc::clone(&self.0);
        blocking(move || ledger.count(&name)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

impl Ledger {
    fn append(&self, line: &str) -> io::Result<()> {
        match self {
            Self::Memory(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line.to_owned());
                Ok(())
            }
            Self::File { file, .. } => {
                // One write, so that lines of several processes do not mix.
                let mut file: &File = file;
                file.write_all(format!("{line}\n").as_bytes())?;
                file.sync_data()
            }
        }
    }

    fn count(&self, name: &str) -> io::Result<usize> {
        let of_name = |line: &str| line.split(' ').nth(1) == Some(name);
        match self {
            Self::Memory(lines) => {
                let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(lines.iter().filter(|line| of_name(line)).count())
            }
            Self::File { path, .. } => {
                let text = std::fs::read_to_string(path)?;
                Ok(text.lines().filter(|line| of_name(line)).count())
            }
        }
    }
}
