//! A process that is never left behind, however the test ends.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::waiting::DEADLINE;

/// Starts the server on each line that it reads, ends it and its directory at the end of its input:
/// the test's process closed the pipe, or is gone. Arguments: the directory, the command.
const SUPERVISOR: &str = r#"
# What ends the test must not end this before it has cleaned up.
trap '' HUP INT TERM PIPE
# An ended server keeps its pid until it is reaped, which dash leaves to `wait`. bash does it at
# once: from then on the pid may be somebody else's.
[ -z "${BASH_VERSION-}" ] || trap 'reaped=yes' CHLD
dir=$1
shift
pid=
end() {
    [ -n "$pid" ] || return 0
    [ -n "$reaped" ] || kill -9 "$pid"
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
rm -rf "$dir"
# A child of the server that was just saving may have come in between.
[ ! -e "$dir" ] || { sleep 1; rm -rf "$dir"; }
"#;

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, or waits for something.
    Running,
    /// It was sent a `SIGSTOP`.
    Stopped,
    /// It is gone.
    Ended,
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
    /// Starts `command`, which is looked up in `PATH`. From now on `dir` belongs to the process.
    pub(crate) fn start(dir: &Path, command: &[&str]) -> Self {
        assert!(
            on_path(command[0]),
            "{} is not installed: run ./scripts/test, which installs it, or \
             `apt-get install redis-server` / `brew install redis`",
            command[0]
        );
        let mut shell = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(dir)
            .args(command)
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
    pub(crate) fn restart(&self) {
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
        // The shell's own `kill`: a program of that name is not everywhere.
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "sh", name])
            .arg(self.pid().to_string())
            .status()
            .expect("sh starts");
        assert!(status.success(), "kill -s {name} {}", self.pid());
    }

    /// Whether it has not ended. A stopped process counts as running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state() != State::Ended
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        state_of(self.pid())
    }

    /// Waits, blocking, until the process is in this state.
    pub(crate) fn wait_for(&self, state: State) {
        let start = Instant::now();
        while self.state() != state {
            assert!(start.elapsed() < DEADLINE, "waited for {state:?}");
            thread::sleep(Duration::from_millis(1));
        }
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

/// What the process with this id is doing. A zombie has ended.
fn state_of(pid: u32) -> State {
    let letter = if Path::new("/proc/self/stat").exists() {
        // "123 (name) S ...", and the name may hold anything.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next())
    } else {
        let pid = pid.to_string();
        let ps = Command::new("ps")
            .args(["-o", "stat=", "-p", &pid])
            .output()
            .expect("ps starts");
        String::from_utf8_lossy(&ps.stdout).trim().chars().next()
    };
    match letter {
        None | Some('Z' | 'X') => State::Ended,
        Some('T') => State::Stopped,
        Some(_) => State::Running,
    }
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
