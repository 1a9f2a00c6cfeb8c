//! A master and its replicas.

use redis::RedisResult;

use crate::config::Plan;
use crate::ports;
use crate::proxy::Proxy;
use crate::redis::{Redis, command};
use crate::waiting::until_or;

/// A master and its replicas. The replicas hang on the proxy, if there is one.
#[derive(Debug)]
pub struct Replicated {
    /// The server that takes the writes.
    pub master: Redis,
    /// The servers that follow it.
    pub replicas: Vec<Redis>,
    /// What stands in front of the master.
    pub proxy: Option<Proxy>,
}

impl Replicated {
    /// Starts them, and waits until every replica acknowledges what is written.
    pub async fn start(replicas: usize, via_proxy: bool) -> Self {
        Self::start_with(replicas, via_proxy, &[]).await
    }

    /// As [`Self::start`], with directives for the configuration of all of them.
    pub async fn start_with(replicas: usize, via_proxy: bool, directives: &[(&str, &str)]) -> Self {
        let master = Redis::start_with(directives).await;
        let proxy = via_proxy.then(|| Proxy::launch(master.port()));
        let port = proxy.as_ref().map_or(master.port(), Proxy::port);
        let master_at = format!("127.0.0.1 {port}");
        let replicas = (0..replicas)
            .map(|_| {
                let plan = Plan::server(ports::free()).with(&[("replicaof", &master_at)]);
                Redis::launch(&plan.with(directives))
            })
            .collect();
        let replicated = Self {
            master,
            replicas,
            proxy,
        };
        replicated.ready().await;
        replicated
    }

    async fn ready(&self) {
        for replica in &self.replicas {
            replica.ready().await;
        }
        // Said to be online, a replica may not acknowledge yet.
        let online = async || {
            let info = self.master.info("replication").await;
            let online = |line: &&String| line.contains("state=online");
            info.values().filter(online).count() == self.replicas.len()
        };
        until_or("the replicas are online", || self.log_tails(), online).await;
        until_acknowledged(&self.master, "idem-servers:ready", self.replicas.len()).await;
    }

    /// The port at which the replicas know the master, and clients should: the proxy's, if any.
    #[must_use]
    pub fn port(&self) -> u16 {
        let proxy = self.proxy.as_ref();
        proxy.map_or(self.master.port(), Proxy::port)
    }

    /// `redis://127.0.0.1:PORT`, of [`Self::port`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    pub(crate) fn log_tails(&self) -> String {
        let servers = self.replicas.iter().chain([&self.master]);
        servers.map(Redis::log_tail).collect::<Vec<_>>().join("\n")
    }
}

/// Waits until a fresh write is acknowledged by that many replicas. Leaves no key behind.
pub(crate) async fn until_acknowledged(master: &Redis, key: &str, replicas: usize) {
    let what = format!("{replicas} replicas of {} acknowledge", master.port());
    until_or(
        &what,
        || master.log_tail(),
        async || acknowledged(master, key, replicas).await == Ok(true),
    )
    .await;
}

/// Whether that many replicas acknowledge a fresh write.
async fn acknowledged(master: &Redis, key: &str, replicas: usize) -> RedisResult<bool> {
    let mut connection = master.connection().await;
    let set = command(&["SET", key, "1"]);
    set.query_async::<()>(&mut connection).await?;
    // `WAIT` is about the writes of its own connection.
    let wait = command(&["WAIT", &replicas.to_string(), "500"]);
    let reached = wait.query_async::<usize>(&mut connection).await?;
    let del = command(&["DEL", key]);
    del.query_async::<()>(&mut connection).await?;
    Ok(reached >= replicas)
}
