//! Where users (and idem's own tests) break it on purpose.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PORT` | where to listen on 127.0.0.1; 0 is any | 3000 |
//! | `IDEM_STORE` | where the records are, see `examples/common/store.rs` | `memory` |
//! | `IDEM_MIN_REPLICAS` | how many replicas of a Redis each write waits for | none |
//! | `IDEM_LEASE` | how long an execution may stay silent, such as `2s` | 30s |
//! | `IDEM_EFFECTS` | a file that gets one line for each execution of a handler | none |
//! | `IDEM_JOURNAL` | a file in which the handlers of `work.rs` note all that they do | none |
//!
//! Every route takes `Authorization: Bearer NAME` and a JSON [`Order`], those of `work.rs` a `Task`. The
//! first line printed is `listening on http://127.0.0.1:PORT`.

mod caller;
mod effects;
mod journal;
mod order;
mod routes;
#[path = "../common/store.rs"]
mod store;
mod work;

use std::{env, error::Error, time::Duration};

use axum::extract::FromRef;
use idem_axum::{Drained, Idempotency, Policy};
use tokio::signal::unix::{SignalKind, signal};

use crate::{effects::Effects, journal::Journal};

#[derive(Clone, FromRef)]
struct Lab {
    idempotency: Idempotency,
    effects: Effects,
    journal: Journal,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let port = match env::var("PORT") {
        Ok(port) => port.parse().map_err(|error| format!("PORT: {error}"))?,
        Err(_) => 3000,
    };
    let idempotency = idempotency().await?;
    let lab = Lab {
        idempotency: idempotency.clone(),
        effects: Effects::open(env::var_os("IDEM_EFFECTS"))
            .map_err(|error| format!("IDEM_EFFECTS: {error}"))?,
        journal: Journal::open(env::var_os("IDEM_JOURNAL"))
            .map_err(|error| format!("IDEM_JOURNAL: {error}"))?,
    };
    lab.journal.keep_pulse();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("port {port}: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);

    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, routes::router(lab)?)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await?;
    match idempotency.drain(Duration::from_secs(30)).await {
        Drained::Clean => println!("drained"),
        Drained::Left(left) => println!("{left} executions were left"),
    }
    Ok(())
}

async fn idempotency() -> Result<Idempotency, Box<dyn Error>> {
    let mut policy = Policy::default();
    if let Ok(lease) = env::var("IDEM_LEASE") {
        policy.lease = humantime::parse_duration(&lease)
            .map_err(|error| format!("IDEM_LEASE: {error}; write `2s` or `500ms`"))?;
    }
    Ok(store::idempotency()
        .await?
        .policy(policy)
        .scope("user", |parts| caller::bearer(&parts.headers))
        .build()?)
}
