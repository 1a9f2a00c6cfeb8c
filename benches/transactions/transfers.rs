//! A transfer between two of a thousand accounts: four statements and a commit.

/// How many sessions each contestant has at the database.
const SESSIONS: u32 = 16;
pub(crate) const ACCOUNTS: i64 = 1000;

macro_rules! transfers {
    ($Db:ident, $id:literal) => {
        use std::sync::Arc;

        use axum::{
            Json, Router,
            body::Body,
            extract::{FromRef, State},
            http::{Request, StatusCode, header},
            response::{IntoResponse, Response},
            routing::post,
        };
        use futures_util::FutureExt;
        use idem_axum::{Idempotency, Tx, idempotent, $Db};
        use serde::{Deserialize, Serialize};
        use sqlx::{Connection, Pool};
        use tower::ServiceExt;

        use super::{ACCOUNTS, SESSIONS};
        use crate::measure::{Contestant, Effort, Operation, print, race};

        #[derive(Clone, FromRef)]
        struct App {
            idempotency: Idempotency,
            pool: Pool<$Db>,
        }

        #[derive(Clone, Serialize, Deserialize)]
        struct Transfer {
            from: i64,
            to: i64,
            amount: i64,
        }

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

        async fn statements(
            connection: &mut <$Db as sqlx::Database>::Connection,
            transfer: &Transfer,
        ) -> Result<i64, sqlx::Error> {
            let (id,): (i64,) = sqlx::query_as(
                "INSERT INTO transfers (payer, payee, amount) VALUES ($1, $2, $3) RETURNING id",
            )
            .bind(transfer.from)
            .bind(transfer.to)
            .bind(transfer.amount)
            .fetch_one(&mut *connection)
            .await?;
            // In the order of the accounts, so that nobody waits for each other.
            let low = transfer.from.min(transfer.to);
            let high = transfer.from.max(transfer.to);
            for account in [low, high] {
                sqlx::query("UPDATE accounts SET balance = balance + $2 WHERE id = $1")
                    .bind(account)
                    .bind(if account == transfer.to { 1_i64 } else { -1 })
                    .execute(&mut *connection)
                    .await?;
            }
            sqlx::query("INSERT INTO entries VALUES ($1, $2, -1), ($1, $3, 1)")
                .bind(id)
                .bind(transfer.from)
                .bind(transfer.to)
                .execute(connection)
                .await?;
            Ok(id)
        }

        async fn bare(
            State(pool): State<Pool<$Db>>,
            Json(transfer): Json<Transfer>,
        ) -> Result<Json<i64>, Failed> {
            let mut connection = pool.acquire().await?;
            let mut transaction = connection.begin_with(BEGIN).await?;
            let id = statements(&mut transaction, &transfer).await?;
            transaction.commit().await?;
            Ok(Json(id))
        }

        #[idempotent(ttl = "24h", scope = "global")]
        async fn within(
            mut tx: Tx<$Db>,
            Json(transfer): Json<Transfer>,
        ) -> Result<Json<i64>, Failed> {
            Ok(Json(statements(&mut tx, &transfer).await?))
        }

        #[idempotent(ttl = "24h", scope = "global")]
        async fn beside(
            State(pool): State<Pool<$Db>>,
            Json(transfer): Json<Transfer>,
        ) -> Result<Json<i64>, Failed> {
            let mut connection = pool.acquire().await?;
            let mut transaction = connection.begin_with(BEGIN).await?;
            let id = statements(&mut transaction, &transfer).await?;
            transaction.commit().await?;
            Ok(Json(id))
        }

        const TABLES: &str = concat!(
            "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL); \
             CREATE TABLE transfers (id ",
            $id,
            ", payer BIGINT NOT NULL, payee BIGINT NOT NULL, \
             amount BIGINT NOT NULL); \
             CREATE TABLE entries (transfer BIGINT NOT NULL, account BIGINT NOT NULL, \
             amount BIGINT NOT NULL)"
        );

        pub(crate) async fn router(store: impl idem_axum::Store, pool: Pool<$Db>) -> Router {
            sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
            let mut connection = pool.acquire().await.unwrap();
            let mut filling = connection.begin_with(BEGIN).await.unwrap();
            for account in 0..ACCOUNTS {
                sqlx::query("INSERT INTO accounts VALUES ($1, 1000)")
                    .bind(account)
                    .execute(&mut *filling)
                    .await
                    .unwrap();
            }
            filling.commit().await.unwrap();
            let idempotency = Idempotency::builder(store)
                .only_modules([module_path!()])
                .store_deadline(std::time::Duration::from_secs(30))
                .build()
                .unwrap();
            Router::new()
                .route("/bare", post(bare))
                .route("/within", post(within))
                .route("/beside", post(beside))
                .with_state(App { idempotency, pool })
        }

        pub(crate) fn contestant(
            router: &Router,
            name: &'static str,
            path: &'static str,
        ) -> Contestant {
            let router = router.clone();
            let operation: Operation = Arc::new(move |_| {
                let router = router.clone();
                async move {
                    let from = rand::random_range(0..ACCOUNTS);
                    let to = (from + rand::random_range(1..ACCOUNTS)) % ACCOUNTS;
                    let transfer = Transfer {
                        from,
                        to,
                        amount: 1,
                    };
                    let request = Request::post(path)
                        .header(header::CONTENT_TYPE, "application/json")
                        .header(
                            "idempotency-key",
                            format!("{:032x}", rand::random::<u128>()),
                        )
                        .body(Body::from(serde_json::to_vec(&transfer).unwrap()))
                        .unwrap();
                    let response = router.oneshot(request).await.unwrap();
                    assert_eq!(response.status(), StatusCode::OK);
                }
                .boxed()
            });
            Contestant { name, operation }
        }

        async fn race_them(router: &Router, effort: Effort) {
            let contestants = [
                contestant(router, "the transaction alone", "/bare"),
                contestant(router, "idem, in the transaction (`Tx`)", "/within"),
                contestant(router, "idem, beside it (at least once)", "/beside"),
            ];
            for workers in [1, SESSIONS as usize] {
                let shown = race(&contestants, workers, effort).await;
                let title = format!("{}, a transfer, {workers} at once", stringify!($Db));
                print(&title, &contestants, &shown);
            }
        }
    };
}

pub(crate) mod postgres {
    transfers!(Postgres, "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY");
    use idem_axum::PostgresStore;

    const BEGIN: &str = "BEGIN";

    /// The handler's own transactions have the same pool as those of idem.
    pub(crate) async fn store(url: &str) -> PostgresStore {
        let store = PostgresStore::builder(url)
            .transaction_connections(SESSIONS)
            .connections(SESSIONS)
            .connect()
            .await
            .unwrap();
        store.migrate().await.unwrap();
        store
    }

    pub(crate) async fn compare(effort: Effort) {
        let server = idem_servers::Postgres::start().await;
        let store = store(&server.url()).await;
        let pool = store.pool().clone();
        race_them(&router(store, pool).await, effort).await;
    }
}

pub(crate) mod sqlite {
    transfers!(Sqlite, "INTEGER PRIMARY KEY");
    use idem_axum::SqliteStore;

    const BEGIN: &str = "BEGIN IMMEDIATE";

    pub(crate) async fn compare(effort: Effort) {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/bench.db", directory.path().display());
        let store = SqliteStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let pool = store.writer().clone();
        race_them(&router(store, pool).await, effort).await;
    }
}
