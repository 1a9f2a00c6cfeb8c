//! Nothing is left behind, however a test ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use idem_servers::{Postgres, Redis, Replicated, until};

/// Set for the process that holds servers and is killed.
const HOLD: &str = "IDEM_SERVERS_HOLD";

/// Whether a process is there, and not just the remains of one.
fn lives(pid: u32) -> bool {
    let ps = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(ps.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

fn assert_gone(pid: u32, dir: &Path) {
    assert!(!lives(pid), "process {pid}");
    assert!(!dir.exists(), "{}", dir.display());
}

#[tokio::test]
async fn a_dropped_server_is_gone_at_once() {
    let redis = Redis::start().await;
    let (pid, dir) = (redis.pid(), redis.dir().to_owned());
    assert!(lives(pid) && dir.exists());
    drop(redis);
    assert_gone(pid, &dir);
}

#[tokio::test]
async fn also_one_that_was_stopped_killed_or_restarted() {
    let redis = Redis::start().await;
    let (first, dir) = (redis.pid(), redis.dir().to_owned());
    redis.kill();
    assert!(!redis.is_running() && !lives(first) && dir.exists());
    redis.restart().await;
    let second = redis.pid();
    assert!(first != second && lives(second));
    redis.restart().await;
    let third = redis.pid();
    assert!(!lives(second) && lives(third));
    redis.stop();
    drop(redis);
    assert_gone(third, &dir);
}

#[tokio::test]
async fn also_one_that_was_killed_and_never_restarted() {
    let redis = Redis::start().await;
    let (pid, dir) = (redis.pid(), redis.dir().to_owned());
    redis.kill();
    drop(redis);
    assert_gone(pid, &dir);
}

#[tokio::test]
async fn a_panic_drops_it_too() {
    let servers = Replicated::start(1, true).await;
    let pids = [servers.master.pid(), servers.replicas[0].pid()];
    let dirs = [servers.master.dir(), servers.replicas[0].dir()].map(Path::to_owned);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _servers = servers;
        panic!("a test fails");
    }));
    assert!(panicked.is_err());
    for (pid, dir) in pids.into_iter().zip(&dirs) {
        assert_gone(pid, dir);
    }
}

/// What a PostgreSQL server has outside of this process.
struct Traces {
    dir: PathBuf,
    /// The postmaster and the processes it has started.
    pids: Vec<u32>,
    /// The id of its System V shared memory.
    segment: String,
}

impl Traces {
    fn of(pid: u32, dir: &Path) -> Self {
        let ps = Command::new("ps")
            .args(["-A", "-o", "pid=,ppid="])
            .output()
            .unwrap();
        let ps = String::from_utf8(ps.stdout).unwrap();
        let children = ps.lines().filter_map(|line| {
            let (child, parent) = line.trim().split_once(' ')?;
            (parent.trim() == pid.to_string()).then(|| child.parse().unwrap())
        });
        let lock = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap();
        let line = lock.lines().nth(6).unwrap();
        let traces = Self {
            dir: dir.to_owned(),
            pids: children.chain([pid]).collect(),
            segment: line.split_whitespace().nth(1).unwrap().to_owned(),
        };
        // Not all live: who asked the server last may have been served by one of them.
        assert!(lives(pid) && traces.pids.iter().filter(|pid| lives(**pid)).count() > 4);
        assert!(traces.has_memory() && dir.exists());
        traces
    }

    fn has_memory(&self) -> bool {
        let ipcs = Command::new("ipcs").arg("-m").output().unwrap();
        let ipcs = String::from_utf8(ipcs.stdout).unwrap();
        // The second word of each line, on Linux and on macOS.
        ipcs.lines()
            .any(|line| line.split_whitespace().nth(1) == Some(&self.segment))
    }

    fn are_gone(&self) -> bool {
        !self.pids.iter().any(|pid| lives(*pid)) && !self.has_memory() && !self.dir.exists()
    }
}

#[tokio::test]
async fn a_dropped_postgres_is_gone_at_once_with_all_its_processes() {
    let postgres = Postgres::start().await;
    let traces = Traces::of(postgres.pid(), postgres.dir());
    drop(postgres);
    assert!(traces.are_gone());
}

#[tokio::test]
async fn also_one_that_was_stopped_or_killed_alone_or_with_all() {
    let postgres = Postgres::start().await;
    let traces = Traces::of(postgres.pid(), postgres.dir());
    postgres.stop();
    let start = Instant::now();
    drop(postgres);
    assert!(traces.are_gone());
    // The server would wait 5 s for those that do not hear it.
    assert!(start.elapsed() < Duration::from_secs(4));

    let postgres = Postgres::start().await;
    let traces = Traces::of(postgres.pid(), postgres.dir());
    postgres.kill();
    assert!(!traces.pids.iter().any(|pid| lives(*pid)));
    assert!(traces.has_memory());
    drop(postgres);
    assert!(traces.are_gone());

    let postgres = Postgres::start().await;
    let traces = Traces::of(postgres.pid(), postgres.dir());
    postgres.signal("KILL");
    drop(postgres);
    until("the others have noticed", async || traces.are_gone()).await;
}

/// Not a test of its own: what the next one kills.
#[tokio::test]
async fn holds_servers() {
    if env::var_os(HOLD).is_none() {
        return;
    }
    let redis = Redis::start().await;
    let postgres = Postgres::start().await;
    println!("\nheld {} {}", redis.pid(), redis.dir().display());
    println!("held {} {}", postgres.pid(), postgres.dir().display());
    loop {
        thread::park();
    }
}

#[tokio::test]
async fn a_killed_test_leaves_nothing() {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "holds_servers", "--nocapture"])
        .env(HOLD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .filter(|line| line.starts_with("held "))
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            (words[1].parse().unwrap(), PathBuf::from(words[2]))
        });
    let (pid, dir) = held.next().expect("the redis server of the child");
    assert!(lives(pid) && dir.exists());
    let (postmaster, postgres_dir) = held.next().expect("the postgres server of the child");
    let traces = Traces::of(postmaster, &postgres_dir);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the server is gone", async || !lives(pid)).await;
    until("its directory is gone", async || !dir.exists()).await;
    until("so is postgres", async || traces.are_gone()).await;
}
