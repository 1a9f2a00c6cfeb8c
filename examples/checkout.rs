//! An order in three steps, each at another service: a crash between them, or within one, and the
//! retry goes on where it left off.
//!
//! `cargo run --example checkout --features sqlite`, then follow what it prints.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PORT` | where to listen on 127.0.0.1; 0 is any | 3000 |
//! | `IDEM_STORE` | where the records are, see `examples/common/store.rs` | this process's memory |
//! | `IDEM_LEASE` | how long a crashed execution blocks its retry, such as `2s` | `30s` |
//! | `IDEM_EFFECTS` | the file in which the other services note what they did | the standard output |
//! | `IDEM_STOPS` | `yes`: a request may say where it stops, see `examples/common/stops.rs` | no |

#[path = "checkout/services.rs"]
mod services;
#[path = "common/stops.rs"]
mod stops;
#[path = "common/store.rs"]
mod store;

use std::{env, error::Error, time::Duration};

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use idem_axum::{Idempotency, Policy, StepError, Steps, idempotent};
use serde::{Deserialize, Serialize};

use crate::{
    services::{Failed, Services},
    stops::Stops,
};

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    services: Services,
}

#[derive(Serialize, Deserialize)]
struct Order {
    id: String,
    item: String,
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    stock: String,
    charge: String,
    parcel: String,
    attempt: u32,
}

#[idempotent(ttl = "24h", scope = "user")]
async fn check_out(
    State(services): State<Services>,
    steps: Steps,
    stops: Stops,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<Receipt>), CheckoutError> {
    // Each runs once. The one that a crash interrupts may run again, with the same key for the
    // service that it calls.
    let call = async |step: &'static str| {
        stops.at(step, "before").await;
        let key = steps.key(step);
        steps
            .run(step, || services.ask(step, &order.id, &key, &stops))
            .await
    };
    let receipt = Receipt {
        stock: call("reserve").await?,
        charge: call("charge").await?,
        parcel: call("ship").await?,
        attempt: steps.attempt(),
    };
    stops.at("answer", "before").await;
    Ok((StatusCode::CREATED, Json(receipt)))
}

#[derive(Debug, thiserror::Error)]
enum CheckoutError {
    #[error(transparent)]
    Step(#[from] StepError<Failed>),
}

/// A service that failed may be there in a minute: 503 is not recorded, and a retry goes on from the
/// last step. Where the steps themselves have ended, idem answers in place of this.
impl IntoResponse for CheckoutError {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, self.to_string()).into_response()
    }
}

/// Demo authentication: `Authorization: Bearer NAME` is the user NAME.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let lease = match env::var("IDEM_LEASE") {
        Ok(text) => humantime::parse_duration(&text).map_err(|why| format!("IDEM_LEASE: {why}"))?,
        Err(_) => Duration::from_secs(30),
    };
    let idempotency = store::idempotency()
        .await?
        .scope("user", |parts| bearer(&parts.headers))
        .policy(Policy {
            lease,
            ..Policy::default()
        })
        .build()?;
    let app = Router::new()
        .route("/orders", post(check_out))
        .with_state(App {
            idempotency,
            services: Services::new(env::var_os("IDEM_EFFECTS")),
        });
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let port: u16 = port.parse().map_err(|error| format!("PORT: {error}"))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}/orders", listener.local_addr()?);
    println!("listening on {url}\n\nCheck out, and send it again (each service is asked once):");
    println!(
        r#"  curl -i {url} -H 'Authorization: Bearer ana' -H 'Idempotency-Key: o1' --json '{{"id":"o1","item":"tea","cents":900}}'"#
    );
    axum::serve(listener, app).await?;
    Ok(())
}
