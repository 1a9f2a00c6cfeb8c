//! One PostgreSQL server.

mod asking;
mod config;
mod home;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::ports;
use crate::process::{Process, Program, State};
use crate::programs;
use crate::proxy::Proxy;
use crate::waiting::{DEADLINE, until_or};
use asking::TEMPLATE;

/// How often a start is tried again because something else took the port.
const ATTEMPTS: usize = 5;
/// The superuser, and the database that is made for the tests.
const USER: &str = "idem";

/// A PostgreSQL server of its own directory, gone with this value.
///
/// It has a superuser `idem` who needs no password, and an empty database `idem` (and none of the name
/// `postgres`). Nothing is taken
/// from its durability: a statement that was committed survives [`Self::kill`].
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    dir: PathBuf,
}

impl Postgres {
    /// Starts a server and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`Self::start`], with settings of its configuration: `("deadlock_timeout", "50ms")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let postgres = Self::launch(ports::free(), settings);
            if postgres.answers_or_ends(TEMPLATE).await {
                postgres.name_database().await;
                return postgres;
            }
            last = postgres.log_tail();
        }
        panic!("every port was taken\n{last}");
    }

    /// Starts the process, and does not wait for it.
    fn launch(port: u16, settings: &[(&str, &str)]) -> Self {
        let programs = programs::postgres();
        let (temp, account) = home::build();
        let dir = temp.path().to_owned();
        let conf = config::render(&dir, port, settings);
        fs::write(dir.join(config::CONFIG), conf).expect("a file");
        let utf8 = "a path in UTF-8";
        let process = Process::start(
            &dir,
            &Program {
                command: &[
                    "sh",
                    "-c",
                    config::START,
                    "postgres",
                    programs.to_str().expect(utf8),
                    dir.to_str().expect(utf8),
                ],
                ending: config::ENDING,
                cleaning: config::CLEANING,
                account,
            },
        );
        // From here on it is the process's to remove.
        let dir = temp.keep();
        Self { process, port, dir }
    }

    /// Waits until it answers. `false`: its port was taken.
    async fn answers_or_ends(&self, database: &str) -> bool {
        let what = format!("the server on port {} answers", self.port);
        until_or(
            &what,
            || self.log_tail(),
            async || !self.is_running() || self.answers(database).await,
        )
        .await;
        if self.is_running() {
            return true;
        }
        let log = self.log_tail();
        let taken = log.contains("could not create any TCP/IP sockets");
        assert!(taken, "the server ended at once\n{log}");
        false
    }

    /// Waits until it answers again, as after [`Self::kill_backend`].
    ///
    /// # Panics
    ///
    /// When it ends instead.
    pub async fn until_ready(&self) {
        assert!(self.answers_or_ends(USER).await, "{}", self.log_tail());
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgres://idem@127.0.0.1:PORT/idem`
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// As [`Self::url`], of another database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// As [`Self::url`], by way of a proxy in front of this server.
    #[must_use]
    pub fn url_through(&self, proxy: &Proxy) -> String {
        url(proxy.port(), USER)
    }

    /// `postgres://idem@localhost:PORT/idem?host=/...`, by the unix socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        let dir = self.dir.display();
        format!(
            "postgres://{USER}@localhost:{}/{USER}?host={dir}",
            self.port
        )
    }

    /// Its directory: the data, the log, the socket.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn data(&self) -> PathBuf {
        self.dir.join(config::DATA)
    }

    /// The id of its first process, the postmaster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the postmaster has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Sends a signal to the postmaster, by its name without `SIG`: `INT` for a fast shutdown.
    ///
    /// For a crash there is [`Self::kill`]: the backends outlive a postmaster that is killed alone.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Stops all its processes in the middle of what they do. Connections stay open.
    pub fn stop(&self) {
        self.process.stop_all();
    }

    /// Lets stopped processes go on.
    pub fn resume(&self) {
        self.process.resume_all();
    }

    /// A crash, `kill -9` of all its processes: when it returns, they are gone.
    pub fn kill(&self) {
        self.process.kill_all();
    }

    /// Starts it again on the same port, with the data as they are. [Kills](Self::kill) it first if
    /// it runs.
    pub async fn restart(&self) {
        self.kill();
        self.process.restart();
        self.until_ready().await;
    }

    /// `kill -9` of one backend. PostgreSQL cannot know what it did to the shared memory: it ends
    /// all the others, too, recovers as from a crash, and then [answers again](Self::until_ready).
    ///
    /// When this returns the backend is gone, and the postmaster has seen it: whoever connects now
    /// waits for the recovery.
    ///
    /// # Panics
    ///
    /// When it is not one of this server's processes.
    pub fn kill_backend(&self, pid: u32) {
        self.process.kill_child(pid);
        // Until then the postmaster would still take a connection, just to end it.
        let seen = format!("(PID {pid}) was terminated by signal 9");
        let start = Instant::now();
        while !self.log().contains(&seen) {
            assert!(start.elapsed() < DEADLINE, "{}", self.log_tail());
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.dir.join(config::LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        format!("the log on port {}:\n{tail}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Stopped processes would have the shutdown wait for them.
        if self.process.state() == State::Stopped {
            self.resume();
        }
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}
