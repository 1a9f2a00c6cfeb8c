//! Money that leaves the bank: the books are this database's, the wire is not.
//!
//! Debit and entries commit with the recorded answer, once. The wire is a step: its result is kept
//! as soon as it is there, beside the open transaction. Killed after it, the debit is rolled back,
//! and the retry makes it again and wires nothing. Killed within it, the retry wires again with the
//! same key, by which the other bank can tell.

use std::{
    fs::OpenOptions,
    io::{self, Write},
};

use axum::{Json, http::StatusCode};
use idem_axum::{Postgres, Steps, Tx, idempotent};
use serde::{Deserialize, Serialize};

use crate::{
    parks::Stops,
    transfers::{LedgerError, User},
};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payout {
    iban: String,
    /// In cents.
    amount: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PaidOut {
    transfer: i64,
    /// The other bank's.
    reference: String,
    attempt: u32,
}

#[idempotent(ttl = "24h", scope = user, wait = "5s", retries = 5)]
pub(crate) async fn pay_out(
    mut tx: Tx<Postgres>,
    steps: Steps,
    stops: Stops,
    User(user): User,
    Json(payout): Json<Payout>,
) -> Result<(StatusCode, Json<PaidOut>), LedgerError> {
    let Payout { iban, amount } = payout;
    let debited =
        sqlx::query("UPDATE accounts SET balance = balance - $2 WHERE name = $1 AND balance >= $2")
            .bind(&user)
            .bind(amount)
            .execute(&mut *tx)
            .await?;
    if debited.rows_affected() == 0 {
        return Err(LedgerError::TooLow);
    }
    stops.at("payout", "debited").await;

    let key = steps.key("wire");
    let wired = steps.run("wire", || wire(&iban, amount, &key, &stops));
    let reference = wired.await?;

    stops.at("payout", "wired").await;
    let (transfer,): (i64,) = sqlx::query_as(
        "INSERT INTO transfers (payer, payee, amount) VALUES ($1, 'outside', $2) RETURNING id",
    )
    .bind(&user)
    .bind(amount)
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO entries (transfer, account, amount) VALUES ($1, $2, -$3), ($1, 'outside', $3)",
    )
    .bind(transfer)
    .bind(&user)
    .bind(amount)
    .execute(&mut *tx)
    .await?;
    stops.at("payout", "entered").await;
    // Every payout's row: last, so that none waits for another's wire.
    sqlx::query("UPDATE accounts SET balance = balance + $1 WHERE name = 'outside'")
        .bind(amount)
        .execute(&mut *tx)
        .await?;
    let paid = PaidOut {
        transfer,
        reference,
        attempt: steps.attempt(),
    };
    Ok((StatusCode::CREATED, Json(paid)))
}

/// The other bank, as far as this example needs it: it notes `wire IBAN KEY REFERENCE`.
async fn wire(iban: &str, amount: i64, key: &str, stops: &Stops) -> io::Result<String> {
    stops.at("wire", "within").await;
    let reference = format!("{amount}-{:016x}", rand::random::<u64>());
    let line = format!("wire {iban} {key} {reference}\n");
    match std::env::var_os("IDEM_EFFECTS") {
        None => print!("{line}"),
        Some(path) => {
            let note = move || {
                let mut file = OpenOptions::new().append(true).create(true).open(path)?;
                file.write_all(line.as_bytes())?;
                file.sync_data()
            };
            tokio::task::spawn_blocking(note)
                .await
                .map_err(io::Error::other)??;
        }
    }
    stops.at("wire", "done").await;
    Ok(reference)
}
