//! The books, over either database: the statements are the same.

/// A handler names its database in `Tx<…>`, so there is one for each.
macro_rules! books {
    ($Db:ident, $Store:ident, $pool:ident, $id:literal) => {
        use axum::{
            Json, Router,
            extract::{FromRef, State},
            http::StatusCode,
            routing::{get, post},
        };
        use idem_axum::{$Db, $Store, Idempotency, Tx, idempotent};
        use sqlx::Pool;

        use crate::{
            stops::Stops,
            transfers::{Audit, LedgerError, Receipt, Transfer, User},
        };

        #[derive(Clone, FromRef)]
        struct Bank {
            idempotency: Idempotency,
            pool: Pool<$Db>,
        }

        #[idempotent(ttl = "24h", scope = user, wait = "5s", retries = 5)]
        async fn transfer(
            mut tx: Tx<$Db>,
            stops: Stops,
            User(user): User,
            Json(transfer): Json<Transfer>,
        ) -> Result<(StatusCode, Json<Receipt>), LedgerError> {
            let Transfer { to, amount } = transfer;
            stops.at("claimed");
            if amount <= 0 || to == user {
                return Err(LedgerError::NothingToDo);
            }
            let (id,): (i64,) = sqlx::query_as(
                "INSERT INTO transfers (payer, payee, amount) VALUES ($1, $2, $3) RETURNING id",
            )
            .bind(&user)
            .bind(&to)
            .bind(amount)
            .fetch_one(&mut *tx)
            .await?;
            stops.at("noted");
            let debited = sqlx::query(
                "UPDATE accounts SET balance = balance - $2 WHERE name = $1 AND balance >= $2",
            )
            .bind(&user)
            .bind(amount)
            .execute(&mut *tx)
            .await?;
            stops.at("debited");
            if debited.rows_affected() == 0 {
                // 402, recorded: a retry gets it again. The transfer above is rolled back.
                return Err(LedgerError::TooLow);
            }
            let credited =
                sqlx::query("UPDATE accounts SET balance = balance + $2 WHERE name = $1")
                    .bind(&to)
                    .bind(amount)
                    .execute(&mut *tx)
                    .await?;
            stops.at("credited");
            if credited.rows_affected() == 0 {
                return Err(LedgerError::NoAccount);
            }
            sqlx::query(
                "INSERT INTO entries (transfer, account, amount) VALUES ($1, $2, -$4), ($1, $3, $4)",
            )
            .bind(id)
            .bind(&user)
            .bind(&to)
            .bind(amount)
            .execute(&mut *tx)
            .await?;
            stops.at("entered");
            let receipt = Receipt {
                transfer: id,
                from: user,
                to,
                amount,
            };
            Ok((StatusCode::CREATED, Json(receipt)))
        }

        async fn audit(State(pool): State<Pool<$Db>>) -> Result<Json<Audit>, LedgerError> {
            let (transfers, balances, opened, entries, wrong): (i64, i64, i64, i64, i64) =
                sqlx::query_as(
                    "SELECT (SELECT count(*) FROM transfers), \
                     (SELECT CAST(sum(balance) AS BIGINT) FROM accounts), \
                     (SELECT CAST(sum(opened_with) AS BIGINT) FROM accounts), \
                     (SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM entries), \
                     (SELECT count(*) FROM accounts a WHERE balance <> opened_with + \
                      (SELECT coalesce(sum(amount), 0) FROM entries e WHERE e.account = a.name))",
                )
                .fetch_one(&pool)
                .await?;
            Ok(Json(Audit {
                transfers,
                balances,
                entries,
                wrong,
                balanced: balances == opened && entries == 0 && wrong == 0,
            }))
        }

        const TABLES: &str = concat!(
            "CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, opened_with BIGINT NOT NULL, \
             balance BIGINT NOT NULL CHECK (balance >= 0)); \
             CREATE TABLE IF NOT EXISTS transfers (id ", $id, ", payer TEXT NOT NULL, \
             payee TEXT NOT NULL, amount BIGINT NOT NULL); \
             CREATE TABLE IF NOT EXISTS entries (transfer BIGINT NOT NULL REFERENCES transfers, \
             account TEXT NOT NULL REFERENCES accounts, amount BIGINT NOT NULL); \
             INSERT INTO accounts VALUES ('ana', 100000, 100000), ('bob', 100000, 100000), \
             ('cleo', 100000, 100000), ('dan', 100000, 100000), ('outside', 0, 0) ON CONFLICT DO NOTHING"
        );

        pub(crate) async fn router(url: &str) -> Result<Router, Box<dyn std::error::Error>> {
            // Its text says what to do, and `main` would show its fields.
            let store = $Store::connect(url).await?;
            store.migrate().await?;
            let pool = store.$pool().clone();
            // Of nodes that start together, one makes them.
            let mut transaction = pool.begin_with(BEGIN).await?;
            sqlx::raw_sql(LOCK).execute(&mut *transaction).await?;
            sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
            transaction.commit().await?;
            let idempotency = Idempotency::builder(store)
                .policy(crate::policy()?)
                .only_modules(MODULES)
                .build()?;
            Ok(payouts()
                .route("/transfers", post(transfer))
                .route("/audit", get(audit))
                .with_state(Bank { idempotency, pool }))
        }
    };
}

#[cfg(feature = "postgres")]
pub(crate) mod postgres {
    books!(
        Postgres,
        PostgresStore,
        pool,
        "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    );

    const MODULES: [&str; 2] = [module_path!(), "ledger::payouts"];

    fn payouts() -> Router<Bank> {
        Router::new().route("/payouts", post(crate::payouts::pay_out))
    }

    const BEGIN: &str = "BEGIN";
    const LOCK: &str = "SELECT pg_advisory_xact_lock(7236)";
}

#[cfg(feature = "sqlite")]
pub(crate) mod sqlite {
    books!(Sqlite, SqliteStore, writer, "INTEGER PRIMARY KEY");

    const MODULES: [&str; 1] = [module_path!()];

    /// A file has one writer, so no step could be kept while a transaction is open.
    fn payouts() -> Router<Bank> {
        Router::new()
    }

    const BEGIN: &str = "BEGIN IMMEDIATE";
    const LOCK: &str = "SELECT 1";
}
