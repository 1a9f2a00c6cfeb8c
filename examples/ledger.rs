//! A bank's books, in which a transfer that arrives twice happens once: the
//! claim of its key, its entries and its recorded answer are one transaction.
//!
//! `cargo run --example ledger --features sqlite`, then follow what it prints. Over
//! PostgreSQL: `IDEM_STORE=postgres://USER@HOST/DATABASE cargo run --example ledger --features postgres`.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PORT` | where to listen on 127.0.0.1; 0 is any | 3000 |
//! | `IDEM_STORE` | `postgres://…` or `sqlite:PATH`: where the books are, and the records | `sqlite:ledger.db` |
//! | `IDEM_LEASE` | how long a payout whose process has died blocks its retry, such as `2s` | `30s` |
//! | `IDEM_EFFECTS` | the file in which the other bank notes what was wired to it | the standard output |
//! | `IDEM_STOPS` | `yes`: a payout may say where it stops, see `examples/common/stops.rs` | no |
//! | `LEDGER_STOPS` | `yes`: a request may say where this process stops, see `examples/ledger/stops.rs` | no |

// Without a database it only says which it needs.
#![cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, unused_imports, unused_macros, unused_variables)
)]

#[path = "ledger/books.rs"]
mod books;
#[path = "common/stops.rs"]
mod parks;
#[cfg(feature = "postgres")]
#[path = "ledger/payouts.rs"]
mod payouts;
#[path = "ledger/stops.rs"]
mod stops;
#[path = "ledger/transfers.rs"]
mod transfers;

use std::{env, error::Error};

use axum::{Router, middleware};
use idem_axum::Policy;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let store = env::var("IDEM_STORE").unwrap_or_else(|_| "sqlite:ledger.db".to_owned());
    let books = router(&store).await?;
    let app = books.layer(middleware::from_fn(stops::answered));
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let port: u16 = port.parse().map_err(|error| format!("PORT: {error}"))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let pay = format!(
        "curl -i {url}/transfers -H 'Authorization: Bearer ana' -H 'Idempotency-Key: k1' --json"
    );
    println!("listening on {url}\n\nPay, send it again (paid once), prove the books:");
    println!(r#"  {pay} '{{"to":"bob","amount":1250}}'"#);
    println!(r#"  {pay} '{{"to":"bob","amount":1250}}'"#);
    println!("  curl {url}/audit");
    axum::serve(listener, app).await?;
    Ok(())
}

fn policy() -> Result<Policy, Box<dyn Error>> {
    let mut policy = Policy::default();
    if let Ok(text) = env::var("IDEM_LEASE") {
        policy.lease =
            humantime::parse_duration(&text).map_err(|why| format!("IDEM_LEASE: {why}"))?;
    }
    Ok(policy)
}

async fn router(store: &str) -> Result<Router, Box<dyn Error>> {
    #[cfg(feature = "postgres")]
    if store.starts_with("postgres") {
        return books::postgres::router(store).await;
    }
    #[cfg(feature = "sqlite")]
    if store.starts_with("sqlite:") {
        return books::sqlite::router(store).await;
    }
    Err(format!(
        "IDEM_STORE is `{store}`; this build knows `postgres://…` with `--features postgres` and `sqlite:PATH` \
         with `--features sqlite`"
    )
    .into())
}
