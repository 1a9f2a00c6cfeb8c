//! Runs the program.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{process::Command, time::timeout};

/// How long anything may take that is only waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `idem`, without a terminal, and without what this process's environment says.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_idem"));
    command
        .args(args)
        .env_remove("IDEM_STORE")
        .env_remove("IDEM_ENCRYPTION_KEYS")
        .env_remove("RUST_LOG")
        .env("USER", "operator")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

pub(crate) async fn idem(args: &[&str]) -> Run {
    run(command(args)).await
}

/// With `--json`: what it prints is one document.
pub(crate) async fn idem_json(args: &[&str]) -> (Run, Value) {
    let run = idem(&[args, &["--json"]].concat()).await;
    let document =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    (run, document)
}

pub(crate) async fn run(mut command: Command) -> Run {
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code().expect("it exits by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn says(&self, text: &str) {
        assert!(self.stdout.contains(text), "not said: {text}\n{self:?}");
    }

    pub(crate) fn complains(&self, text: &str) {
        assert!(self.stderr.contains(text), "not said: {text}\n{self:?}");
    }

    pub(crate) fn never_says(&self, text: &str) {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(!all.contains(text), "said: {text}\n{self:?}");
    }
}
