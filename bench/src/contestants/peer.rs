//! axum-idempotent, the nearest other crate, with the client's key, over the sessions of ruts.
//!
//! It keeps answers in the session that a request's cookie names, so each key comes with a session of its
//! own: its memory store looks through the whole session whenever it keeps an answer.

use std::sync::Arc;

use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use fred::{
    interfaces::ClientLike,
    types::{Builder, config::Config},
};
use ruts::{
    CookieOptions, SessionLayer,
    store::{SessionStore, moka::MokaStore, redis::RedisStore},
};
use tower_cookies::CookieManagerLayer;

use super::{Executions, Service, Stored, bare};
use crate::{error::Error, workload::SESSION_COOKIE};

const DAY: i64 = 24 * 60 * 60;
pub(crate) const NEEDS_OF_ITS_REDIS: &str =
    "its Redis store uses HEXPIRE, which Redis has since 7.4 and Valkey since 9.0";

pub(super) async fn over_redis(url: &str) -> Result<Service, Error> {
    let config = Config::from_url(url).map_err(Error::store)?;
    let client = Builder::from_config(config).build().map_err(Error::store)?;
    // It ends with the process.
    let _connection = client.init().await.map_err(Error::store)?;
    let store = RedisStore::new(Arc::new(client))
        .await
        .map_err(Error::store)?;
    Ok(service(store))
}

pub(super) fn over_memory() -> Service {
    service(MokaStore::builder().max_capacity(u64::MAX).build())
}

fn service<S: SessionStore>(store: S) -> Service {
    let executions = Executions::default();
    let options = IdempotentOptions::default()
        .use_idempotency_key_header(Some("idempotency-key"), true)
        .expire_after(DAY);
    let cookie = CookieOptions::build().name(SESSION_COOKIE);
    Service {
        router: bare::routes(executions.clone())
            .layer(IdempotentLayer::<S>::new(options))
            .layer(SessionLayer::new(Arc::new(store)).with_cookie_options(cookie))
            .layer(CookieManagerLayer::new()),
        executions,
        stored: Stored::Elsewhere,
    }
}
