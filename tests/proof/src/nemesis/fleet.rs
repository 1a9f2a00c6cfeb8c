//! The processes of the service under test.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use idem_servers::{Process, State, ports};
use tokio::{net::TcpStream, time::sleep};

use super::{schedule::LEASE, workload::node_id};
use crate::history::NodeId;

/// How long a start may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all events are timed by, of all processes: the machine's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(SystemTime);

impl Clock {
    /// It begins now.
    #[must_use]
    pub(super) fn start() -> Self {
        Self(SystemTime::now())
    }

    /// The time since it began.
    #[must_use]
    pub(super) fn now(&self) -> Duration {
        self.0.elapsed().unwrap_or_default()
    }

    /// The time at this many microseconds since 1970.
    #[must_use]
    pub(super) fn at(&self, micros: u64) -> Duration {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        time.duration_since(self.0).unwrap_or_default()
    }
}

/// Which program a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `examples/lab`: its handlers write a journal.
    Lab,
    /// `examples/ledger`: its handlers take the store's transaction.
    Ledger,
}

impl Program {
    /// Where it is, beside this program.
    fn path(self) -> PathBuf {
        let own = std::env::current_exe().expect("a path");
        let mut directory = own.parent().expect("a directory");
        if directory.ends_with("deps") {
            directory = directory.parent().expect("a directory");
        }
        let name = match self {
            Self::Lab => "lab",
            Self::Ledger => "ledger",
        };
        let path = directory.join("examples").join(name);
        assert!(
            path.exists(),
            "{} is not built: run `cargo build --all-features --examples` first",
            path.display()
        );
        path
    }
}

/// One process. Killed and started again, it has the same address.
#[derive(Debug)]
pub(crate) struct Node {
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    /// What it runs.
    pub(super) program: Program,
    process: Process,
    /// Its process ids so far.
    pids: Mutex<Vec<u32>>,
}

impl Node {
    /// Starts a process and waits until it listens.
    pub(crate) async fn start(
        program: Program,
        store: &str,
        journal: Option<&Path>,
        environment: &[(&str, &str)],
    ) -> Self {
        let port = ports::free();
        let path = program.path();
        let mut words = vec![
            "env".to_owned(),
            format!("PORT={port}"),
            format!("IDEM_STORE={store}"),
            format!("IDEM_LEASE={}ms", LEASE.as_millis()),
        ];
        words.extend(journal.map(|path| format!("IDEM_JOURNAL={}", path.display())));
        words.extend(
            environment
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        words.push(path.display().to_string());
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let process = Process::run(&words);
        let node = Self {
            address: format!("127.0.0.1:{port}"),
            program,
            pids: Mutex::new(vec![process.pid()]),
            process,
        };
        node.until_it_listens().await;
        node
    }

    fn pids(&self) -> MutexGuard<'_, Vec<u32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its process's id in a history. `index` is its own among the nodes.
    pub(super) fn id(&self, index: usize) -> NodeId {
        node_id(index, self.pids().len() - 1)
    }

    /// The id in a history of the process that had this one, if it was one of its own.
    pub(super) fn id_of(&self, index: usize, pid: u32) -> Option<NodeId> {
        let start = self.pids().iter().position(|own| *own == pid)?;
        Some(node_id(index, start))
    }

    /// The ids in a history of all its processes.
    pub(super) fn ids(&self, index: usize) -> Vec<NodeId> {
        let starts = 0..self.pids().len();
        starts.map(|start| node_id(index, start)).collect()
    }

    /// The id that the system has given to its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What its process is doing.
    pub(super) fn state(&self) -> State {
        self.process.state()
    }

    /// SIGTERM. What it says that it has left when it ends; `None` if it does not end.
    pub(super) async fn terminate(&self) -> Option<Vec<(String, u64)>> {
        let before = self.output().len();
        self.process.signal("TERM");
        let give_up = Instant::now() + PATIENCE;
        while self.process.is_running() {
            if Instant::now() > give_up {
                return None;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let output = self.output();
        let said = output.get(before..).unwrap_or_default();
        if said.lines().any(|line| line == "drained") {
            return Some(Vec::new());
        }
        let left = said
            .lines()
            .find_map(|line| line.strip_suffix(" executions were left")?.parse().ok());
        Some(vec![("executions".to_owned(), left.unwrap_or(1))])
    }

    /// `kill -9`: when it returns, the process is gone.
    pub(super) fn kill(&self) {
        if self.process.is_running() {
            self.process.signal("KILL");
            self.process.wait_for(State::Ended);
        }
    }

    /// SIGSTOP. A process that is not there is left alone.
    pub(super) fn stop(&self) {
        if self.process.is_running() {
            self.process.signal("STOP");
            self.process.wait_for(State::Stopped);
        }
    }

    /// SIGCONT.
    pub(super) fn resume(&self) {
        if self.process.is_running() {
            self.process.signal("CONT");
            self.process.wait_for(State::Running);
        }
    }

    /// Starts it again, and again while it does not find its store, until it listens.
    pub(super) async fn restart(&self) {
        self.start_again();
        self.until_it_listens().await;
    }

    fn start_again(&self) {
        self.process.restart();
        self.pids().push(self.process.pid());
    }

    async fn until_it_listens(&self) {
        let give_up = Instant::now() + PATIENCE;
        while TcpStream::connect(&self.address).await.is_err() {
            assert!(
                Instant::now() < give_up,
                "{:?} does not start: {}",
                self.program,
                self.output()
            );
            sleep(Duration::from_millis(20)).await;
            if !self.process.is_running() {
                sleep(Duration::from_millis(200)).await;
                self.start_again();
            }
        }
    }

    /// All that it printed.
    pub(super) fn output(&self) -> String {
        self.process.output()
    }

    /// The panics among it.
    pub(super) fn panics(&self) -> Vec<String> {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        let panicked = |(number, line): (usize, &&str)| {
            let message = lines.get(number + 1).copied().unwrap_or_default();
            line.contains("panicked at")
                .then(|| format!("{line} {message}"))
        };
        lines.iter().enumerate().filter_map(panicked).collect()
    }
}
