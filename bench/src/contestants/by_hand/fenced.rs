//! The same with what keeps it right: a lease, an owner that the answer is checked against when it is
//! written, and a fingerprint of the payload. Still nobody renews the lease, and a lost reply is an error.

use std::sync::LazyLock;

use axum::response::Response;
use redis::{AsyncCommands, ExistenceCheck, Script, SetExpiry, SetOptions};
use sha2::{Digest, Sha256};

use super::{App, DAY, Failed, conflict, json};
use crate::order::Order;

const LEASE_SECONDS: u64 = 30;
const FINGERPRINT: usize = 32;

/// KEYS: the key. ARGV: what its owner has written there, the answer, seconds.
static COMPLETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
         redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1",
    )
});

pub(super) async fn once(
    mut app: App,
    key: &str,
    order: Order,
    work: impl AsyncFnOnce(Order) -> Order,
) -> Result<Response, Failed> {
    let fingerprint = Sha256::digest(serde_json::to_vec(&order)?);
    let mut claim = b"r".to_vec();
    claim.extend_from_slice(&fingerprint);
    claim.extend_from_slice(&rand::random::<u128>().to_le_bytes());
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .get(true)
        .with_expiration(SetExpiry::EX(LEASE_SECONDS));
    let found: Option<Vec<u8>> = app.redis.set_options(key, &claim[..], options).await?;
    let Some(found) = found else {
        app.executions.count();
        let answer = serde_json::to_vec(&work(order).await)?;
        let mut record = b"d".to_vec();
        record.extend_from_slice(&fingerprint);
        record.extend_from_slice(&answer);
        let is_ours: bool = COMPLETE
            .key(key)
            .arg(claim)
            .arg(record)
            .arg(DAY)
            .invoke_async(&mut app.redis)
            .await?;
        return if is_ours {
            Ok(json(answer))
        } else {
            Err(Failed("somebody else has it".to_owned()))
        };
    };
    let (state, found) = found.split_first().unwrap_or((&0, &[]));
    let (theirs, answer) = found.split_at_checked(FINGERPRINT).unwrap_or_default();
    Ok(if *state == b'd' && theirs == fingerprint.as_slice() {
        json(answer.to_vec())
    } else {
        conflict()
    })
}
