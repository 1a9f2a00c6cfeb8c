//! `SET NX`, the handler, `SET`; and `GET` for a duplicate. No owner, no lease, no fence, no fingerprint.

use axum::response::Response;
use redis::{AsyncCommands, ExistenceCheck, SetExpiry, SetOptions};

use super::{App, DAY, Failed, conflict, json};
use crate::order::Order;

/// What stands there until the answer does.
const RUNNING: &[u8] = b"running";

pub(super) async fn once(
    mut app: App,
    key: &str,
    order: Order,
    work: impl AsyncFnOnce(Order) -> Order,
) -> Result<Response, Failed> {
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .with_expiration(SetExpiry::EX(DAY));
    let set: Option<String> = app.redis.set_options(key, RUNNING, options).await?;
    if set.is_some() {
        app.executions.count();
        let answer = serde_json::to_vec(&work(order).await)?;
        app.redis.set_ex::<_, _, ()>(key, &answer, DAY).await?;
        return Ok(json(answer));
    }
    let answer: Vec<u8> = app.redis.get(key).await?;
    Ok(if answer == RUNNING {
        conflict()
    } else {
        json(answer)
    })
}
