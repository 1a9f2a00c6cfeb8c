//! The side of the contestant's process: its server, and what it says of itself.

use std::{fs, io::Write, net::Ipv4Addr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{
    allocations::Allocations,
    contestants::{Contestant, Executions, Place, Stored},
    error::Error,
};

/// What `GET /stats` answers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) allocations: u64,
    /// How often handlers have run.
    pub(crate) executions: u64,
}

struct Watched {
    allocations: Allocations,
    executions: Executions,
    stored: Stored,
}

/// Prints where it listens, and serves until its input ends: whoever started it is done, or gone.
pub(crate) async fn serve(contestant: Contestant, at: &str) -> Result<(), Error> {
    let service = contestant.serve(at).await?;
    let watched = Watched {
        allocations: Allocations::new(),
        executions: service.executions,
        stored: service.stored,
    };
    let said = Router::new()
        .route("/stats", get(stats))
        .route("/stored", get(stored))
        .with_state(Arc::new(watched));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(Error::Serve)?;
    let address = listener.local_addr().map_err(Error::Serve)?;
    writeln!(std::io::stdout(), "{address}").map_err(Error::Serve)?;
    let listener = listener.tap_io(|stream| {
        // Nagle's algorithm would hold answers back. Without it, they are only late.
        let _ = stream.set_nodelay(true);
    });
    let served = tokio::select! {
        served = axum::serve(listener, service.router.merge(said)) => served.map_err(Error::Serve),
        () = until_input_ends() => Ok(()),
    };
    if contestant.place() == Place::File {
        // Whoever made it may be gone.
        let _ = fs::remove_dir_all(at);
    }
    served
}

async fn until_input_ends() {
    // An error is an end, too.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

async fn stats(State(watched): State<Arc<Watched>>) -> Json<Stats> {
    Json(Stats {
        allocations: watched.allocations.so_far(),
        executions: watched.executions.so_far(),
    })
}

/// The bytes of what is stored, where the process can tell.
async fn stored(State(watched): State<Arc<Watched>>) -> Response {
    match bytes(&watched.stored).await {
        Ok(bytes) => Json(bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn bytes(stored: &Stored) -> Result<Option<i64>, sqlx::Error> {
    match stored {
        Stored::Elsewhere => Ok(None),
        Stored::Sqlite(pool) => {
            // What is in the log goes to the file.
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(pool)
                .await?;
            let query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
            sqlx::query_scalar(query).fetch_one(pool).await.map(Some)
        }
        Stored::Postgres(pool) => {
            let query = "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c \
                 JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = 'idem' AND c.relkind = 'r'";
            sqlx::query_scalar(query).fetch_one(pool).await.map(Some)
        }
    }
}
