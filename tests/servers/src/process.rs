//! A process that is never left behind, however the test ends.

mod family;
mod table;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

pub use table::State;

/// Starts the server on each line that it reads, ends it and its directory at the end of its input:
/// the test's process closed the pipe, or is gone. Arguments: the directory, how to end `$pid`, what
/// to clean up when all is over, the command.
const SUPERVISOR: &str = r#"
# What ends the test must not end this before it has cleaned up.
trap '' HUP INT TERM PIPE
# An ended server keeps its pid until it is reaped, which dash leaves to `wait`. bash does it at
# once: from then on the pid may be somebody else's.
[ -z "${BASH_VERSION-}" ] || trap 'reaped=yes' CHLD
dir=$1 ending=$2 cleaning=$3
shift 3
pid=
end() {
    [ -n "$pid" ] || return 0
    [ -n "$reaped" ] || eval "$ending"
    wait "$pid"
    pid=
}
while :; do
    read -r order
    status=$?
    # A signal, not the end.
    [ "$status" -le 128 ] || continue
    [ "$status" -eq 0 ] || break
    end
    reaped=
    "$@" </dev/null >>"$dir/output" 2>&1 &
    pid=$!
    echo "$pid"
done
end
eval "$cleaning"
rm -rf "$dir"
# A child of the server that was just saving may have come in between.
[ ! -e "$dir" ] || { sleep 1; rm -rf "$dir"; }
"#;

/// Where the supervisor puts what the server prints.
const OUTPUT: &str = "output";

/// What is to be run, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program<'a> {
    pub(crate) command: &'a [&'a str],
    /// What the supervisor's shell does to end `$pid`, for which it waits afterwards.
    pub(crate) ending: &'static str,
    /// What it does at the very end, before it removes `$dir`.
    pub(crate) cleaning: &'static str,
    /// As whom it runs, and the supervisor with it, if not as the test.
    pub(crate) account: Option<Account>,
}

impl<'a> Program<'a> {
    /// A program that can be killed at any time and leaves nothing then.
    pub(crate) fn simple(command: &'a [&'a str]) -> Self {
        Self {
            command,
            ending: r#"kill -9 "$pid""#,
            cleaning: ":",
            account: None,
        }
    }
}

/// Somebody whom root can be instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// A server and the shell that watches over it. Dropped, both are gone, and so is the directory.
#[derive(Debug)]
pub struct Process {
    supervisor: Mutex<Supervisor>,
    pid: AtomicU32,
    dir: PathBuf,
}

#[derive(Debug)]
struct Supervisor {
    shell: Child,
    orders: Option<ChildStdin>,
    pids: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a program that can be killed at any time, in a directory of its own: `["env",
    /// "PORT=0", "/path/to/service"]`. What it prints is its [`Self::output`].
    #[must_use]
    pub fn run(command: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("idem-servers-")
            .tempdir()
            .expect("a directory");
        Self::start(&dir.keep(), &Program::simple(command))
    }

    /// All that it has printed, over all its restarts.
    #[must_use]
    pub fn output(&self) -> String {
        let bytes = fs::read(self.dir.join(OUTPUT)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts a program. From now on `dir` belongs to the process.
    pub(crate) fn start(dir: &Path, program: &Program<'_>) -> Self {
        let mut shell = Command::new("sh");
        if let Some(account) = program.account {
            shell.uid(account.user).gid(account.group);
        }
        let mut shell = shell
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(dir)
            .args([program.ending, program.cleaning])
            .args(program.command)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Out of reach of what is sent to the test's group: Ctrl-C, a test runner's SIGKILL.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let mut supervisor = Supervisor {
            orders: shell.stdin.take(),
            pids: BufReader::new(shell.stdout.take().unwrap()),
            shell,
        };
        let pid = supervisor.start();
        Self {
            supervisor: Mutex::new(supervisor),
            pid: AtomicU32::new(pid),
            dir: dir.to_owned(),
        }
    }

    /// Starts the command again. If it still runs it is killed first.
    pub fn restart(&self) {
        let mut supervisor = self
            .supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.pid.store(supervisor.start(), Ordering::SeqCst);
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// Sends a signal: `STOP`, `CONT`, `KILL`, `TERM`.
    ///
    /// # Panics
    ///
    /// When the process has ended: its id may belong to another by now.
    pub fn signal(&self, name: &str) {
        assert!(self.is_running(), "SIG{name} to a process that has ended");
        let sent = table::send(name, &[self.pid()]);
        assert!(sent, "kill -s {name} {}", self.pid());
    }

    /// Whether it has not ended. A stopped process counts as running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state() != State::Ended
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        table::state_of(self.pid())
    }

    /// Waits, blocking, until the process is in this state.
    ///
    /// # Panics
    ///
    /// When it is not after 30 seconds.
    pub fn wait_for(&self, state: State) {
        family::wait_until(&[self.pid()], |now| now == state);
    }
}

impl Supervisor {
    fn start(&mut self) -> u32 {
        let orders = self.orders.as_mut().unwrap();
        orders.write_all(b"start\n").expect("the supervisor reads");
        let mut line = String::new();
        self.pids
            .read_line(&mut line)
            .expect("the supervisor answers");
        line.trim().parse().expect("a pid")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let supervisor = self
            .supervisor
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        drop(supervisor.orders.take());
        // Not unwrapped: this may be running because of a panic.
        let _ = supervisor.shell.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
