//! The Redis and the PostgreSQL of a run, and what they say of themselves.

use std::{
    panic,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use idem_servers::{Postgres, Redis};
use redis::Value;
use tokio::task::JoinError;

use crate::{
    child::Home,
    contestants::{Contestant, Place},
    error::Error,
    process,
    summary::percentile,
};

/// How long it is asked for an answer to `PING`.
const PINGS: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Servers {
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    databases: AtomicU32,
}

impl Servers {
    /// Those that contestants need.
    pub(crate) async fn start(contestants: &[Contestant]) -> Result<Self, Error> {
        let is_needed = |place| contestants.iter().any(|one| one.place() == place);
        let redis = match is_needed(Place::Redis) {
            true => Some(started("Redis", Redis::start()).await?),
            false => None,
        };
        let postgres = match is_needed(Place::Postgres) {
            true => Some(started("PostgreSQL", Postgres::start()).await?),
            false => None,
        };
        Ok(Self {
            redis,
            postgres,
            databases: AtomicU32::new(0),
        })
    }

    /// "Redis 7.0.15"
    pub(crate) async fn versions(&self) -> Vec<String> {
        let mut versions = Vec::new();
        if let Some(redis) = &self.redis {
            let info = redis.info("server").await;
            let version = info
                .get("valkey_version")
                .map(|version| format!("Valkey {version}"))
                .or_else(|| Some(format!("Redis {}", info.get("redis_version")?)));
            versions.extend(version);
        }
        if let Some(postgres) = &self.postgres {
            let version = postgres.text("SHOW server_version").await;
            // "15.16 (Debian 15.16-0+deb12u1)"
            let number = version.as_deref().and_then(|text| text.split(' ').next());
            versions.extend(number.map(|number| format!("PostgreSQL {number}")));
        }
        versions
    }

    /// Whether the fields of a hash can expire, without which the peer's store is of no use.
    pub(crate) async fn expires_fields(&self) -> Result<bool, Error> {
        let Some(redis) = &self.redis else {
            return Ok(false);
        };
        let known: Vec<Value> = redis.query(&["COMMAND", "INFO", "HEXPIRE"]).await?;
        Ok(known.iter().any(|command| *command != Value::Nil))
    }

    /// A fresh place for one process.
    pub(crate) async fn home(&self, contestant: Contestant) -> Result<Home, Error> {
        let mut home = Home {
            at: String::new(),
            directory: None,
        };
        match (contestant.place(), &self.redis, &self.postgres) {
            (Place::File, ..) => {
                let directory = tempfile::Builder::new()
                    .prefix("idem-bench-")
                    .tempdir()
                    .map_err(Error::Scratch)?;
                home.at = directory.path().display().to_string();
                home.directory = Some(directory);
            }
            (Place::Redis, Some(redis), _) => home.at = redis.url(),
            (Place::Postgres, _, Some(postgres)) => {
                let name = format!("bench_{}", self.databases.fetch_add(1, Relaxed));
                postgres.create_database(&name).await;
                home.at = postgres.url_of(&name);
            }
            _ => {}
        }
        Ok(home)
    }

    /// Forgets what a contestant has stored, so that all have an empty server before them.
    pub(crate) async fn empty(&self, place: Place) {
        if let (Place::Redis, Some(redis)) = (place, &self.redis) {
            redis.command(&["FLUSHALL", "SYNC"]).await;
        }
    }

    /// Seconds of a core that the server of a place has had.
    pub(crate) fn seconds(&self, place: Place) -> Option<f64> {
        match place {
            Place::Redis => process::seconds(self.redis.as_ref()?.pid()),
            Place::Postgres => process::seconds(self.postgres.as_ref()?.pid()),
            Place::Nowhere | Place::Memory | Place::File => None,
        }
    }

    /// The bytes that Redis uses.
    pub(crate) async fn redis_memory(&self) -> Option<i64> {
        let info = self.redis.as_ref()?.info("memory").await;
        info.get("used_memory")?.parse().ok()
    }

    /// The median time to an answer of Redis, over one connection.
    pub(crate) async fn ping(&self) -> Result<Option<Duration>, Error> {
        let Some(redis) = &self.redis else {
            return Ok(None);
        };
        let mut connection = redis.connection().await;
        let ping = redis::cmd("PING");
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < PINGS {
            let sent = Instant::now();
            ping.exec_async(&mut connection).await?;
            times.push(sent.elapsed());
        }
        times.sort_unstable();
        Ok(percentile(&times, 0.5))
    }
}

/// What goes wrong with a server panics, with the reason.
async fn started<T: Send + 'static>(
    server: &'static str,
    starting: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let started = tokio::spawn(starting).await;
    panic::set_hook(loud);
    started.map_err(|error| Error::Server {
        server,
        why: reason(error),
    })
}

fn reason(error: JoinError) -> String {
    let panicked = match error.try_into_panic() {
        Ok(panicked) => panicked,
        Err(error) => return error.to_string(),
    };
    match panicked.downcast::<String>() {
        Ok(text) => *text,
        Err(panicked) => panicked
            .downcast::<&str>()
            .map_or_else(|_| "it said nothing".to_owned(), |text| (*text).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_server_says_is_the_error() {
        let missing = async { panic!("redis-server is not installed: run ./scripts/test") };
        let error = started::<()>("Redis", missing).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Redis could not be started: redis-server is not installed: run ./scripts/test"
        );
    }
}
