//! Handlers' transactions: claim, the handler's own statements, record, commit.
//!
//! ```text
//! BEGIN IMMEDIATE            the one writer's turn
//! claim
//! SAVEPOINT idem_work
//!     the handler's statements
//! RELEASE idem_work          or ROLLBACK TO it
//! complete
//! COMMIT
//! ```
//!
//! Who else has a transaction for the slot is known to this process only
//! ([`Running`](crate::running::Running)); another process waits for the writer's
//! turn, and then sees what was committed.
//!
//! The savepoint is gone if the handler has ended the transaction itself.

use std::time::Duration;

use idem_core::{
    Begun, Claim, ClaimRequest, Claimed, Concluded, Ending, OnCrash, StoreError, Transactional,
    Under, Writes,
};
use idem_sql::{Leased, OpenTransaction};
use sqlx::{SqlSafeStr, Sqlite, raw_sql};

use crate::{
    SqliteStore,
    error::{in_transaction, is_over, of_beginning},
    row,
    store::{TRIES, claim, completion, leased, release},
};

type Transaction = OpenTransaction<Sqlite>;

impl Transactional for SqliteStore {
    type Transaction = Transaction;

    async fn begin(&self, request: ClaimRequest) -> Result<Begun<Transaction>, StoreError> {
        for _ in 0..TRIES {
            // Before the queue for the writer: a duplicate does not wait in it.
            let entered = match self.inner.running.enter(&request) {
                Ok(entered) => entered,
                Err(claim) => return Ok(Begun::Not(claim)),
            };
            if let Some(claim) = self.met(&request).await? {
                return Ok(Begun::Not(claim));
            }
            let begin = "BEGIN IMMEDIATE".into_sql_str();
            let connection = Leased::from(&self.inner.writer).await;
            let connection = connection.map_err(of_beginning)?;
            let mut transaction = Transaction::begin(connection, begin, request)
                .await
                .map_err(of_beginning)?;
            transaction.keep(entered);
            let under = match &request.alias {
                None => Under::Slot,
                Some(alias) => match self.inner.look(&mut transaction, &request, alias).await? {
                    (under, None) => under,
                    (_, Some(claim)) => {
                        transaction.rollback().await.map_err(of_beginning)?;
                        return Ok(Begun::Not(claim));
                    }
                },
            };
            let named = request.under(under);
            // A row of ours that is ever committed in flight was not committed by us.
            let row = claim(&self.inner.statements.claim, &named, true)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(of_beginning)?;
            if let Some(row) = row {
                let claimed = Claimed {
                    under,
                    ..row::claimed(named.slot, &row)?
                };
                raw_sql("SAVEPOINT idem_work")
                    .execute(&mut *transaction)
                    .await
                    .map_err(of_beginning)?;
                return Ok(Begun::Claimed(transaction, claimed));
            }
            // Another process was quicker.
            transaction.rollback().await.map_err(of_beginning)?;
        }
        Ok(Begun::Not(Claim::InFlight {
            lease_left: Duration::ZERO,
        }))
    }

    fn refuses_to_open(&self) -> Option<&'static str> {
        Some(
            "a SQLite file has one writer, so a step could not be kept while the handler's transaction is open: take \
             `Steps` alone, and make the handler's own writes in steps, which may be repeated by a crash and can be \
             told by `steps.key(…)`",
        )
    }

    async fn conclude(
        &self,
        mut transaction: Transaction,
        ending: Ending,
    ) -> Result<Concluded, StoreError> {
        let request = match &ending {
            Ending::Complete { grant, .. } | Ending::Release { grant, .. } => {
                transaction.request().at(grant.slot)
            }
            Ending::Abandon => *transaction.request(),
        };
        // Until the slot says so itself, others are told here that it is taken.
        let _entered = transaction.kept();
        let concluded = match ending {
            Ending::Complete { .. } | Ending::Release { .. } => {
                self.try_conclude(transaction, &ending).await?
            }
            Ending::Abandon => {
                transaction.rollback().await.map_err(in_transaction)?;
                Concluded::Done
            }
        };
        if concluded == Concluded::Escaped {
            self.mark_unknown(request).await;
        }
        Ok(concluded)
    }
}

impl SqliteStore {
    /// What a claim meets that needs no turn of the writer's.
    async fn met(&self, request: &ClaimRequest) -> Result<Option<Claim>, StoreError> {
        let Some(alias) = &request.alias else {
            let seen = self.inner.seen(request.slot).await?;
            return seen.map_or(Ok(None), |seen| seen.meets(request));
        };
        let mut reader = leased(&self.inner.readers).await?;
        let (_, met) = self.inner.look(&mut reader, request, alias).await?;
        reader.done();
        Ok(met)
    }

    async fn try_conclude(
        &self,
        mut transaction: Transaction,
        ending: &Ending,
    ) -> Result<Concluded, StoreError> {
        let keeps = matches!(
            ending,
            Ending::Complete {
                writes: Writes::Keep,
                ..
            }
        );
        let savepoint = if keeps {
            "RELEASE idem_work"
        } else {
            "ROLLBACK TO idem_work"
        };
        match raw_sql(savepoint).execute(&mut *transaction).await {
            Ok(_) => {}
            Err(error) if is_over(&error) => return Ok(Concluded::Escaped),
            Err(error) => return Err(in_transaction(error)),
        }
        // Only now: the savepoint has shown that nothing was committed meanwhile, and
        // what sqlx does behind a nested transaction that was dropped, it does on the
        // connection's thread, so that it is known only after an answer from there.
        match transaction.depth() {
            0 => return Ok(Concluded::Escaped),
            1 => {}
            _ => {
                return Err(StoreError::Refused {
                    reason: "the work has left a nested transaction open; commit it or drop it"
                        .to_owned(),
                });
            }
        }
        let statements = &self.inner.statements;
        let asked = match ending {
            Ending::Complete {
                grant,
                record,
                retention,
                ..
            } => completion(&statements.complete, grant, record, *retention),
            Ending::Release { grant, ttl } => release(&statements.release, grant, *ttl),
            Ending::Abandon => return Ok(Concluded::Done),
        };
        let done = asked
            .execute(&mut *transaction)
            .await
            .map_err(in_transaction)?;
        if done.rows_affected() == 0 {
            transaction.rollback().await.map_err(in_transaction)?;
            return Ok(Concluded::Fenced);
        }
        transaction.commit().await.map_err(in_transaction)?;
        Ok(Concluded::Done)
    }

    /// Nobody is to run what may have been committed.
    ///
    /// If that fails, it is an escape all the same, and not an error that says that
    /// everything was rolled back. Where the claim was committed with the writes, it
    /// refuses to be taken over, so the slot comes to the same when its lease lapses.
    async fn mark_unknown(&self, request: ClaimRequest) {
        let silent = ClaimRequest {
            lease: Duration::ZERO,
            on_crash: OnCrash::Refuse,
            ..request
        };
        let asked = claim(&self.inner.statements.claim, &silent, true);
        if let Err(error) = self.inner.change(asked).await {
            tracing::error!(
                slot = %request.slot.short(),
                %error,
                "a handler has ended its transaction itself, and the slot could not be kept from running again"
            );
        }
    }
}
