//! One server.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, RedisResult, Value,
};

use crate::config::{CONFIG, LOG, Plan, SOCKET};
use crate::ports;
use crate::process::{Process, Program, State};
use crate::programs;
use crate::waiting::until_or;

/// How often a start is tried again because something else took the port.
const ATTEMPTS: usize = 5;
/// For an answer of the server. A test may have paused it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A `redis-server` of its own directory, gone with this value.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    dir: PathBuf,
    password: Option<String>,
}

impl Redis {
    /// Starts a server and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`Self::start`], with directives of its configuration: `("appendonly", "yes")`.
    pub async fn start_with(directives: &[(&str, &str)]) -> Self {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let redis = Self::launch(&Plan::server(ports::free()).with(directives));
            if redis.until_ready().await {
                return redis;
            }
            last = redis.log_tail();
        }
        panic!("every port was taken\n{last}");
    }

    /// Starts the process, and does not wait for it.
    pub(crate) fn launch(plan: &Plan) -> Self {
        programs::require_redis();
        let temp = tempfile::Builder::new()
            .prefix("idem-servers-")
            .tempdir()
            .expect("a directory");
        let dir = temp.path().to_owned();
        for (name, content) in &plan.files {
            fs::write(dir.join(name), content).expect("a file");
        }
        let config = dir.join(CONFIG);
        fs::write(&config, plan.render(&dir)).expect("a file");
        let mut command = vec!["redis-server", config.to_str().expect("a path in UTF-8")];
        if plan.sentinel {
            command.push("--sentinel");
        }
        let process = Process::start(&dir, &Program::simple(&command));
        // From here on it is the process's to remove.
        let dir = temp.keep();
        Self {
            process,
            port: plan.port,
            password: plan.value("requirepass").map(Into::into),
            dir,
        }
    }

    /// Waits until it answers and has loaded its data. `false`: its port was taken.
    async fn until_ready(&self) -> bool {
        let what = format!("the server on port {} answers", self.port);
        until_or(
            &what,
            || self.log_tail(),
            async || !self.is_running() || self.answers().await,
        )
        .await;
        if self.is_running() {
            return true;
        }
        let log = self.log_tail();
        let taken = log.contains("Address already in use") || log.contains("Failed listening");
        assert!(taken, "the server ended at once\n{log}");
        false
    }

    /// As [`Self::until_ready`], for a server that cannot have another port.
    pub(crate) async fn ready(&self) {
        assert!(self.until_ready().await, "{}", self.log_tail());
    }

    async fn answers(&self) -> bool {
        match self.query::<String>(&["PING"]).await {
            Ok(_) => {}
            // A replica that may not serve without its master.
            Err(error) if error.code() == Some("MASTERDOWN") => {}
            Err(_) => return false,
        }
        // Another program's server may be the one that answers.
        let info = self.query::<String>(&["INFO", "server"]).await;
        info.is_ok_and(|info| info.contains(&format!("process_id:{}\r", self.pid())))
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `redis+unix:///.../redis.sock`
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!("redis+unix://{}", self.dir.join(SOCKET).display())
    }

    /// Its directory: the configuration, the log, the data.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A new connection, straight to the server.
    pub async fn connection(&self) -> MultiplexedConnection {
        let connection = self.try_connection().await;
        connection.unwrap_or_else(|error| panic!("{error}\n{}", self.log_tail()))
    }

    async fn try_connection(&self) -> RedisResult<MultiplexedConnection> {
        let mut info = self.url().into_connection_info()?;
        if let Some(password) = &self.password {
            let settings = info.redis_settings().clone();
            info = info.set_redis_settings(settings.set_password(password));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        Client::open(info)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// Sends one command on a connection of its own. Panics on an error.
    pub async fn command(&self, words: &[&str]) -> Value {
        let answer = self.query(words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.log_tail()))
    }

    /// As [`Self::command`], with the answer as a type of one's choice, or the error.
    ///
    /// # Errors
    ///
    /// What the server or the connection says.
    pub async fn query<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut connection = self.try_connection().await?;
        command(words).query_async(&mut connection).await
    }

    /// Whether it takes a write just now, and this many replicas have it within 100 ms.
    pub async fn acknowledges(&self, key: &str, replicas: usize) -> bool {
        let write = async {
            let mut connection = self.try_connection().await?;
            // `WAIT` is about the writes of its own connection.
            let set = command(&["SET", key, "1", "PX", "60000"]);
            set.query_async::<()>(&mut connection).await?;
            let wait = command(&["WAIT", &replicas.to_string(), "100"]);
            wait.query_async::<usize>(&mut connection).await
        };
        write.await.is_ok_and(|reached| reached >= replicas)
    }

    /// The fields of one section of `INFO`. A server that becomes a replica drops its clients, and
    /// is asked once more.
    pub async fn info(&self, section: &str) -> HashMap<String, String> {
        let ask = async || self.query::<String>(&["INFO", section]).await;
        let info = match ask().await {
            Err(error) if error.is_connection_dropped() => ask().await,
            answer => answer,
        };
        let info = info.unwrap_or_else(|error| panic!("INFO: {error}\n{}", self.log_tail()));
        info.lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// How often this command was called: `evalsha`, `client|setinfo`.
    pub async fn calls(&self, command: &str) -> u64 {
        let stats = self.info("commandstats").await;
        let Some(stat) = stats.get(&format!("cmdstat_{}", command.to_lowercase())) else {
            return 0;
        };
        stat.split(',')
            .find_map(|field| field.strip_prefix("calls="))
            .and_then(|calls| calls.parse().ok())
            .expect("calls=N")
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the process has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Whether the process runs and was not stopped.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.process.state() == State::Running
    }

    /// Sends a signal to the process, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Stops the process in the middle of what it does. Connections stay open.
    pub fn stop(&self) {
        self.signal("STOP");
        self.process.wait_for(State::Stopped);
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) {
        self.signal("CONT");
        self.process.wait_for(State::Running);
    }

    /// `kill -9`: when it returns, the process is gone.
    pub fn kill(&self) {
        if self.is_running() {
            self.signal("KILL");
            self.process.wait_for(State::Ended);
        }
    }

    /// Starts it again on the same port, with the directory as it is. Kills it first if it runs.
    ///
    /// A master that saves nothing starts empty, except within a second of a full sync of a replica:
    /// the file it was made with is still there.
    pub async fn restart(&self) {
        self.process.restart();
        self.ready().await;
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let mut text = String::new();
        for name in ["output", LOG] {
            let bytes = fs::read(self.dir.join(name)).unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        format!("the log on port {}:\n{tail}", self.port)
    }
}

/// A command of these words.
pub(crate) fn command(words: &[&str]) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    command.arg(words);
    command
}
