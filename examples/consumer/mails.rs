//! The effect: a mail for each invoice.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Write},
};

use serde::{Deserialize, Serialize};

use crate::stops::stop_at;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) to: String,
    pub(crate) amount: u64,
}

/// Where mails go: a file, or else the standard output.
#[derive(Clone)]
pub(crate) struct Mails(Option<OsString>);

impl Mails {
    pub(crate) fn new(path: Option<OsString>) -> Self {
        Self(path)
    }

    /// Its answer is what the event's record holds.
    pub(crate) fn send(
        &self,
        event: String,
        invoice: Invoice,
    ) -> impl Future<Output = io::Result<String>> + Send + 'static {
        let path = self.0.clone();
        async move {
            stop_at("started").await;
            let line = format!("mail {event} {} {}\n", invoice.to, invoice.amount);
            match path {
                None => print!("{line}"),
                Some(path) => tokio::task::spawn_blocking(move || append(path, &line))
                    .await
                    .map_err(io::Error::other)??,
            }
            stop_at("sent").await;
            Ok(format!("mail-for-{event}"))
        }
    }
}

/// One write, so that lines of several consumers do not mix.
fn append(path: OsString, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}
