//! What one would write by hand: `SET NX`, the work, `SET`. Two round trips, no owner, no lease,
//! no fence, no fingerprint; it forgets nothing that idem keeps but keeps much less.

use redis::{AsyncCommands, ExistenceCheck, SetExpiry, SetOptions, aio::MultiplexedConnection};

const DAY: u64 = 24 * 60 * 60;

/// Whether the key is ours.
pub(crate) async fn claim(redis: &mut MultiplexedConnection, key: &str) -> bool {
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .with_expiration(SetExpiry::EX(DAY));
    let set: Option<String> = redis.set_options(key, "running", options).await.unwrap();
    set.is_some()
}

pub(crate) async fn complete(redis: &mut MultiplexedConnection, key: &str, answer: &[u8]) {
    redis.set_ex::<_, _, ()>(key, answer, DAY).await.unwrap();
}

pub(crate) async fn answer(redis: &mut MultiplexedConnection, key: &str) -> Vec<u8> {
    redis.get(key).await.unwrap()
}
