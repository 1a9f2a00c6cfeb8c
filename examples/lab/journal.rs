//! What the handlers of `work.rs` did, and when, across processes and crashes.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::json;

/// How often the process looks at the clock.
const PULSE: Duration = Duration::from_millis(100);
/// By how much more it may oversleep.
const LATE: Duration = Duration::from_millis(200);

/// One JSON object a line: `at` (µs since 1970), `node` (process id), `event`, and what it is about.
///
/// A line that was written outlives the process, but not the machine's power: nothing is synced, so
/// that a crowd of executions does not wait for the disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Option<Arc<File>>);

impl Journal {
    pub(crate) fn open(path: Option<OsString>) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Some(Arc::new(file))))
    }

    /// Notes one event.
    pub(crate) fn note(&self, event: &str, about: impl Serialize) -> io::Result<()> {
        let Some(file) = &self.0 else {
            return Ok(());
        };
        let line = json!({
            "at": micros(SystemTime::now()),
            "node": std::process::id(),
            "event": event,
            "about": about,
        });
        // One write, so that lines of several processes do not mix.
        let mut file: &File = file;
        file.write_all(format!("{line}\n").as_bytes())
    }

    /// Notes when this process did not get to run, for whatever reason: whoever reads the journal
    /// should know that it could not renew its leases either.
    pub(crate) fn keep_pulse(&self) {
        if self.0.is_none() {
            return;
        }
        let journal = self.clone();
        tokio::spawn(async move {
            let mut last = SystemTime::now();
            loop {
                tokio::time::sleep(PULSE).await;
                let now = SystemTime::now();
                let slept = now.duration_since(last).unwrap_or_default();
                if slept > PULSE + LATE {
                    let since = json!({ "since": micros(last) });
                    // There is nobody to tell if it cannot be written.
                    let _ = journal.note("late", since);
                }
                last = now;
            }
        });
    }
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}
