//! Claim and complete over one connection, against `PING` and against the same by hand; and the
//! slot as one string against a hash.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use futures_util::FutureExt;
use idem_axum::{OnCrash, RedisStore, Store};
use idem_core::{Claim, ClaimRequest, Fingerprint, Grant, OwnerId, Retention, Slot};
use idem_servers::Redis;
use redis::aio::MultiplexedConnection;

use crate::{
    measure::{Contestant, Effort, print, race},
    naive,
};

const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const RETENTION: Retention = Retention {
    ttl: Duration::from_secs(24 * 60 * 60),
    grace: MINUTE,
};
/// About what a small JSON answer takes with its headers.
const RECORD: &[u8] = &[b'x'; 256];

/// The claim of an absent slot, as a hash with the same fields.
const HASH_CLAIM: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slot = redis.call('HMGET', KEYS[1], 'state', 'fence', 'attempt', 'owner', 'fingerprint', 'at')
if not slot[1] then
  local lease = now + ARGV[3]
  redis.call('HSET', KEYS[1], 'version', '1', 'state', 'in-flight', 'fence', 1, 'attempt', 1,
    'flags', ARGV[5], 'owner', ARGV[2], 'fingerprint', ARGV[1],
    'at', string.format('%.0f', lease), 'span', ARGV[4])
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', lease + ARGV[4]))
  return {'claimed', '1', '1', '-', ''}
end
return {'in-flight', slot[6]}
";

fn request() -> ClaimRequest {
    ClaimRequest {
        slot: Slot::from_bytes(rand::random()),
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: MINUTE,
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
        alias: None,
    }
}

pub(crate) async fn claim(store: &RedisStore) -> Grant {
    let request = request();
    match store.claim(request).await.unwrap() {
        Claim::Claimed(claimed) => Grant {
            slot: request.slot,
            owner: request.owner,
            fence: claimed.fence,
        },
        other => panic!("{other:?}"),
    }
}

fn key() -> String {
    format!("naive:{:032x}", rand::random::<u128>())
}

pub(crate) async fn compare(effort: Effort) {
    let redis = Redis::start().await;
    let store = Arc::new(RedisStore::connect(&redis.url()).await.unwrap());
    let connection = redis.connection().await;
    let hash: String = redis.query(&["SCRIPT", "LOAD", HASH_CLAIM]).await.unwrap();
    for workers in [1, 50] {
        let claims = [
            ping(&connection),
            by_hand_claim(&connection),
            idem_claim(&store),
            hash_claim(&connection, &hash),
        ];
        let shown = race(&claims, workers, effort).await;
        print(
            &format!("One command, {workers} at a time"),
            &claims,
            &shown,
        );
        redis.command(&["FLUSHALL"]).await;
        let pairs = [by_hand_pair(&connection), idem_pair(&store)];
        let shown = race(&pairs, workers, effort).await;
        print(
            &format!("Claim and complete, {workers} at a time"),
            &pairs,
            &shown,
        );
        redis.command(&["FLUSHALL"]).await;
    }
    share_of_reads(&redis, &store, effort).await;
}

fn ping(connection: &MultiplexedConnection) -> Contestant {
    let connection = connection.clone();
    Contestant {
        name: "`PING`",
        operation: Arc::new(move |_| {
            let mut connection = connection.clone();
            async move {
                let _: String = redis::cmd("PING")
                    .query_async(&mut connection)
                    .await
                    .unwrap();
            }
            .boxed()
        }),
    }
}

fn by_hand_claim(connection: &MultiplexedConnection) -> Contestant {
    let connection = connection.clone();
    Contestant {
        name: "by hand: `SET NX`",
        operation: Arc::new(move |_| {
            let mut connection = connection.clone();
            async move { assert!(naive::claim(&mut connection, &key()).await) }.boxed()
        }),
    }
}

fn idem_claim(store: &Arc<RedisStore>) -> Contestant {
    claims("idem: claim", store)
}

/// Claims of absent slots.
pub(crate) fn claims(name: &'static str, store: &Arc<RedisStore>) -> Contestant {
    let store = Arc::clone(store);
    Contestant {
        name,
        operation: Arc::new(move |_| {
            let store = Arc::clone(&store);
            async move {
                claim(&store).await;
            }
            .boxed()
        }),
    }
}

fn hash_claim(connection: &MultiplexedConnection, script: &str) -> Contestant {
    let (connection, script) = (connection.clone(), script.to_owned());
    Contestant {
        name: "the same claim, if the slot were a hash",
        operation: Arc::new(move |_| {
            let (mut connection, script) = (connection.clone(), script.clone());
            async move {
                let owner = format!("{:032x}", rand::random::<u128>());
                let _: Vec<String> = redis::cmd("EVALSHA")
                    .arg(script)
                    .arg(1)
                    .arg(format!("hash:{:064x}", rand::random::<u128>()))
                    .arg("07".repeat(32))
                    .arg(owner)
                    .arg(60_000)
                    .arg(86_460_000)
                    .arg("-")
                    .query_async(&mut connection)
                    .await
                    .unwrap();
            }
            .boxed()
        }),
    }
}

fn by_hand_pair(connection: &MultiplexedConnection) -> Contestant {
    let connection = connection.clone();
    Contestant {
        name: "by hand: `SET NX`, `SET`",
        operation: Arc::new(move |_| {
            let mut connection = connection.clone();
            async move {
                let key = key();
                assert!(naive::claim(&mut connection, &key).await);
                naive::complete(&mut connection, &key, RECORD).await;
            }
            .boxed()
        }),
    }
}

fn idem_pair(store: &Arc<RedisStore>) -> Contestant {
    let store = Arc::clone(store);
    Contestant {
        name: "idem: claim, complete",
        operation: Arc::new(move |_| {
            let store = Arc::clone(&store);
            async move {
                let grant = claim(&store).await;
                let record = Bytes::from_static(RECORD);
                let _ = store.complete(grant, record, RETENTION).await.unwrap();
            }
            .boxed()
        }),
    }
}

/// How many claims the server reads at once when so many are in flight: they
/// share its system calls, and ours.
async fn share_of_reads(redis: &Redis, store: &Arc<RedisStore>, effort: Effort) {
    let reads = async || {
        let stats = redis.info("stats").await;
        stats["total_reads_processed"].parse::<f64>().unwrap()
    };
    let once = Effort {
        rounds: 1,
        ..effort
    };
    println!("\n| claims in flight | claims that the server reads at once |");
    println!("| --- | --- |");
    for workers in [1, 16, 64] {
        let before = (redis.calls("evalsha").await as f64, reads().await);
        race(&[idem_claim(store)], workers, once).await;
        let after = (redis.calls("evalsha").await as f64, reads().await);
        let share = (after.0 - before.0) / (after.1 - before.1);
        println!("| {workers} | {share:.1} |");
    }
}
