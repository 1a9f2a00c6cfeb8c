//! A handler that writes an order in a transaction: with one of its own, and with idem's.

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use idem_axum::{Idempotency, Tx, idempotent};
use sqlx::{PgConnection, PgPool, Postgres, postgres::PgPoolOptions};
use tokio::time::sleep;

use super::{Executions, PATIENCE, SESSIONS, Service, Stored, WORK, idem};
use crate::{error::Error, order::Order};

const TABLE: &str = "CREATE TABLE orders (\
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
    customer TEXT NOT NULL, currency TEXT NOT NULL, total BIGINT NOT NULL)";

#[derive(Debug)]
struct Failed(sqlx::Error);

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

async fn write(connection: &mut PgConnection, order: &Order) -> Result<(), sqlx::Error> {
    let total: i64 = order
        .lines
        .iter()
        .map(|line| i64::from(line.quantity) * line.price)
        .sum();
    sqlx::query("INSERT INTO orders (customer, currency, total) VALUES ($1, $2, $3)")
        .bind(&order.customer)
        .bind(&order.currency)
        .bind(total)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Clone, FromRef)]
struct Bare {
    pool: PgPool,
    executions: Executions,
}

async fn bare_order(
    State(app): State<Bare>,
    Json(order): Json<Order>,
) -> Result<Json<Order>, Failed> {
    app.executions.count();
    let mut transaction = app.pool.begin().await?;
    write(&mut transaction, &order).await?;
    transaction.commit().await?;
    Ok(Json(order))
}

async fn bare_slow(
    State(app): State<Bare>,
    Json(order): Json<Order>,
) -> Result<Json<Order>, Failed> {
    app.executions.count();
    let mut transaction = app.pool.begin().await?;
    write(&mut transaction, &order).await?;
    sleep(WORK).await;
    transaction.commit().await?;
    Ok(Json(order))
}

pub(super) async fn bare(url: &str) -> Result<Service, Error> {
    // As idem's own pool is.
    let pool = PgPoolOptions::new()
        .max_connections(SESSIONS)
        .test_before_acquire(false)
        .acquire_timeout(PATIENCE)
        .connect(url)
        .await
        .map_err(Error::store)?;
    make_table(&pool).await?;
    let executions = Executions::default();
    let app = Bare {
        pool,
        executions: executions.clone(),
    };
    Ok(Service {
        router: Router::new()
            .route("/orders", post(bare_order))
            .route("/slow", post(bare_slow))
            .with_state(app),
        executions,
        stored: Stored::Elsewhere,
    })
}

#[derive(Clone, FromRef)]
struct Within {
    idempotency: Idempotency,
    executions: Executions,
}

#[idempotent(ttl = "24h", scope = "global")]
async fn order(
    State(executions): State<Executions>,
    mut tx: Tx<Postgres>,
    Json(order): Json<Order>,
) -> Result<Json<Order>, Failed> {
    executions.count();
    write(&mut tx, &order).await?;
    Ok(Json(order))
}

#[idempotent(ttl = "24h", scope = "global")]
async fn slow(
    State(executions): State<Executions>,
    mut tx: Tx<Postgres>,
    Json(order): Json<Order>,
) -> Result<Json<Order>, Failed> {
    executions.count();
    write(&mut tx, &order).await?;
    sleep(WORK).await;
    Ok(Json(order))
}

pub(super) async fn within(url: &str) -> Result<Service, Error> {
    let store = idem::postgres(url).await?;
    let pool = store.pool().clone();
    make_table(&pool).await?;
    let executions = Executions::default();
    let app = Within {
        idempotency: idem::builder(store, module_path!())
            .build()
            .map_err(Error::store)?,
        executions: executions.clone(),
    };
    Ok(Service {
        router: Router::new()
            .route("/orders", post(order))
            .route("/slow", post(slow))
            .with_state(app),
        executions,
        stored: Stored::Postgres(pool),
    })
}

async fn make_table(pool: &PgPool) -> Result<(), Error> {
    sqlx::raw_sql(TABLE)
        .execute(pool)
        .await
        .map_err(Error::store)?;
    Ok(())
}
