//! A terminal with somebody at it.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::OwnedFd,
    process::Stdio,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::{process::Child, task::spawn_blocking, time::timeout};

use crate::tool::{PATIENCE, Run, command};

/// The program, with a terminal as its stdin and stderr.
pub(crate) struct AtTerminal {
    child: Child,
    terminal: File,
    /// What it has written to the terminal.
    seen: String,
}

impl AtTerminal {
    pub(crate) fn start(args: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let far: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap()
            .into();
        let child = command(args)
            .stdin(far.try_clone().unwrap())
            .stderr(far)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            terminal: terminal.into(),
            seen: String::new(),
        }
    }

    /// Reads until this has been asked.
    pub(crate) async fn until_asked(&mut self, question: &str) {
        let read = async {
            while !self.seen.contains(question) {
                let mut terminal = self.terminal.try_clone().unwrap();
                let piece = spawn_blocking(move || {
                    let mut piece = [0; 1024];
                    let read = terminal.read(&mut piece).unwrap();
                    String::from_utf8_lossy(&piece[..read]).into_owned()
                });
                self.seen += &piece.await.unwrap();
            }
        };
        timeout(PATIENCE, read).await.expect("it asks in time");
    }

    pub(crate) async fn answer(mut self, answer: &str) -> Run {
        writeln!(self.terminal, "{answer}").unwrap();
        let output = timeout(PATIENCE, self.child.wait_with_output()).await;
        let output = output.expect("it ends").unwrap();
        Run {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: self.seen,
        }
    }
}
