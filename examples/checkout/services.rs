//! The services that an order goes through, as far as this example needs them.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Write},
};

use crate::stops::Stops;

#[derive(Debug, thiserror::Error)]
#[error("a service cannot be reached")]
pub(crate) struct Failed(#[from] io::Error);

/// They note what they did: `SERVICE ORDER KEY ANSWER`, one line for each call that had an effect.
/// (A real one has none for a key that it knows already.)
#[derive(Clone)]
pub(crate) struct Services(Option<OsString>);

impl Services {
    pub(crate) fn new(effects: Option<OsString>) -> Self {
        Self(effects)
    }

    /// Has its effect, and answers with a number that no other call gets.
    pub(crate) async fn ask(
        &self,
        service: &'static str,
        order: &str,
        key: &str,
        stops: &Stops,
    ) -> Result<String, Failed> {
        stops.at(service, "within").await;
        let answer = format!("{service}-{:016x}", rand::random::<u64>());
        let line = format!("{service} {order} {key} {answer}\n");
        match self.0.clone() {
            None => print!("{line}"),
            Some(path) => tokio::task::spawn_blocking(move || append(path, &line))
                .await
                .map_err(io::Error::other)??,
        }
        stops.at(service, "done").await;
        Ok(answer)
    }
}

/// One write, so that lines of several orders do not mix.
fn append(path: OsString, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}
