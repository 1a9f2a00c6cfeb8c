//! Where users (and idem's own tests) break it on purpose.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PORT` | where to listen on 127.0.0.1; 0 is any | 3000 |
//! | `IDEM_STORE` | `memory` | `memory` |
//! | `IDEM_LEASE` | how long an execution may stay silent, such as `2s` | 30s |
//! | `IDEM_EFFECTS` | a file that gets one line for each execution of a handler | none |
//!
//! Every route takes `Authorization: Bearer NAME` and a JSON [`Order`]. The
//! first line printed is `listening on http://127.0.0.1:PORT`.

mod caller;
mod effects;
mod order;
mod routes;

use std::{env, error::Error, time::Duration};

use axum::extract::FromRef;
use idem_axum::{Drained, Idempotency, MemoryStore, Policy};
use tokio::signal::unix::{SignalKind, signal};

use crate::effects::Effects;

#[derive(Clone, FromRef)]
struct Lab {
    idempotency: Idempotency,
    effects: Effects,
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
    let idempotency = idempotency()?;
    let lab = Lab {
        idempotency: idempotency.clone(),
        effects: Effects::open(env::var_os("IDEM_EFFECTS"))
            .map_err(|error| format!("IDEM_EFFECTS: {error}"))?,
    };
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

fn idempotency() -> Result<Idempotency, Box<dyn Error>> {
    let store = match env::var("IDEM_STORE").as_deref() {
        Ok("memory") | Err(env::VarError::NotPresent) => MemoryStore::new(),
        Ok(other) => {
            return Err(format!("IDEM_STORE is `{other}`; this build knows `memory`").into());
        }
        Err(error) => return Err(format!("IDEM_STORE: {error}").into()),
    };
    let mut policy = Policy::default();
    if let Ok(lease) = env::var("IDEM_LEASE") {
        policy.lease = humantime::parse_duration(&lease)
            .map_err(|error| format!("IDEM_LEASE: {error}; write `2s` or `500ms`"))?;
    }
    Ok(Idempotency::builder(store)
        .policy(policy)
        .scope("user", |parts| caller::bearer(&parts.headers))
        .build()?)
}
