//! Handlers' transactions: claim, the handler's own statements, record, commit.
//!
//! ```text
//! BEGIN; SAVEPOINT                  one round trip
//! locks and claim                   one round trip
//!     the handler's statements
//! complete                          one round trip
//! COMMIT                            one round trip
//! ```
//!
//! Two advisory locks tell a duplicate at once that the slot is another
//! transaction's, whose row it cannot see: first that of slot and fingerprint,
//! then that of the slot. Whoever has the slot's has its own fingerprint's as well, so
//! a transaction that has its fingerprint's and not the slot's has met another fingerprint.
//! Correctness does not hang on them: the row's primary key decides.
//!
//! Rolling back to the savepoint undoes the claim and gives up the locks, so the
//! slot is claimed again for the record; whoever came in between has fenced it.
//!
//! `idem.claim` is a setting of the transaction: it is gone if the handler has
//! ended the transaction itself.
//!
//! With recovery points the claim is made by the plain verb, and committed. The
//! transaction is opened beside it, and meets the slot's row only at its end:
//!
//! ```text
//! BEGIN; idem.claim; SAVEPOINT      one round trip
//!     the handler's statements; meanwhile, on other connections: renewals, steps
//! complete                          one round trip
//! COMMIT                            one round trip
//! ```
//!
//! The row has changed since such a transaction began, which only READ COMMITTED
//! takes in its stride.

use std::time::Duration;

use idem_core::{
    Begun, Claim, ClaimRequest, Claimed, Concluded, Ending, Fence, OnCrash, StoreError,
    Transactional, Writes,
};
use idem_sql::{OpenTransaction, TxDatabase as _, micros};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Postgres, Row, SqlSafeStr, raw_sql};

use crate::{
    PostgresStore,
    error::{in_transaction, is_over, of_beginning},
    isolation::{Isolation, NEEDS_READ_COMMITTED},
    row,
    store::{TRIES, claim_in, complete_in, query, release_in},
};

type Transaction = OpenTransaction<Postgres>;

impl Transactional for PostgresStore {
    type Transaction = Transaction;

    async fn begin(&self, request: ClaimRequest) -> Result<Begun<Transaction>, StoreError> {
        let locks = Locks::of(&request, self.inner.names.slots());
        for _ in 0..TRIES {
            match self.try_begin(&locks, request).await {
                Ok(Some(begun)) => return begun,
                // Somebody's claim without a transaction has come in between.
                Ok(None) => {}
                // Another's record was committed after this one's snapshot: the next has it.
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(of_beginning(error)),
            }
        }
        Ok(Begun::Not(Claim::InFlight {
            lease_left: Duration::ZERO,
        }))
    }

    async fn open(&self, request: ClaimRequest) -> Result<Transaction, StoreError> {
        let inner = &self.inner;
        if let Some(reason) = inner.isolation.refuses_steps() {
            return Err(refused(reason));
        }
        let guard = Locks::of(&request, inner.names.slots()).guard(Lock::Won);
        let begin = format!(
            "{}; SELECT set_config('idem.claim', '{guard}', true); SAVEPOINT {SAVEPOINT}",
            inner.isolation.begin()
        );
        let begin = AssertSqlSafe(begin).into_sql_str();
        let transaction = Transaction::begin_beside(&inner.transactions, begin, request);
        let mut transaction = transaction.await.map_err(of_beginning)?;
        if inner.isolation == Isolation::Default {
            let level: String =
                sqlx::query_scalar("SELECT current_setting('transaction_isolation')")
                    .fetch_one(&mut *transaction)
                    .await
                    .map_err(of_beginning)?;
            if level != "read committed" && level != "read uncommitted" {
                transaction.rollback().await.map_err(of_beginning)?;
                return Err(refused(NEEDS_READ_COMMITTED));
            }
        }
        Ok(transaction)
    }

    fn refuses_to_open(&self) -> Option<&'static str> {
        self.inner.isolation.refuses_steps()
    }

    async fn conclude(
        &self,
        transaction: Transaction,
        ending: Ending,
    ) -> Result<Concluded, StoreError> {
        let request = *transaction.request();
        let concluded = match ending {
            Ending::Complete { .. } | Ending::Release { .. } => {
                self.try_conclude(transaction, &request, &ending).await?
            }
            Ending::Abandon => {
                transaction.rollback().await.map_err(in_transaction)?;
                Concluded::Done
            }
        };
        if concluded == Concluded::Escaped
            && let Err(error) = self.mark_unknown(request).await
        {
            // An escape stays one: it must not be taken for something that can be tried again.
            tracing::error!(slot = %request.slot.short(), %error, "the slot could not be marked as unknown");
        }
        Ok(concluded)
    }
}

/// What a claim within a transaction has come to.
enum Here {
    Won(Claimed),
    Met(Claim),
    /// Somebody's claim without a transaction has come in between.
    Again,
}

impl PostgresStore {
    /// `None`: to be asked for again.
    async fn try_begin(
        &self,
        locks: &Locks,
        request: ClaimRequest,
    ) -> Result<Option<Result<Begun<Transaction>, StoreError>>, sqlx::Error> {
        let inner = &self.inner;
        let begin = format!("{}; SAVEPOINT {SAVEPOINT}", inner.isolation.begin());
        let begin = AssertSqlSafe(begin).into_sql_str();
        let mut transaction = Transaction::begin(&inner.transactions, begin, request).await?;
        let here = self.claim_here(&mut transaction, locks, &request).await?;
        if let Ok(Here::Won(claimed)) = here {
            return Ok(Some(Ok(Begun::Claimed(transaction, claimed))));
        }
        transaction.rollback().await?;
        Ok(match here {
            Ok(Here::Met(claim)) => Some(Ok(Begun::Not(claim))),
            Ok(Here::Won(_) | Here::Again) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Claims the slot in this transaction. A row of ours that is ever committed in
    /// flight was not committed by us, so it refuses to be taken over.
    async fn claim_here(
        &self,
        transaction: &mut Transaction,
        locks: &Locks,
        request: &ClaimRequest,
    ) -> Result<Result<Here, StoreError>, sqlx::Error> {
        let statements = &self.inner.statements;
        let guard = locks.guard(Lock::Won);
        let fresh = sqlx::query(statements.claim_fresh.sql())
            .bind(&request.slot.as_bytes()[..])
            .bind(&request.fingerprint.as_bytes()[..])
            .bind(&request.owner.as_bytes()[..])
            .bind(micros(request.lease))
            .bind(micros(request.retention.total()))
            .bind(locks.request)
            .bind(locks.slot)
            .bind(&guard)
            .fetch_optional(&mut **transaction)
            .await?;
        if fresh.is_some() {
            return Ok(Ok(Here::Won(Claimed {
                fence: Fence::FIRST,
                attempt: 1,
                taken_over: false,
                checkpoints: Vec::new(),
            })));
        }
        let seen = query(&statements.inspect)
            .bind(request.slot.as_bytes().to_vec())
            .fetch_optional(&mut **transaction)
            .await?;
        if let Some(seen) = seen {
            match row::slot(&seen).and_then(|seen| seen.meets(request)) {
                Ok(Some(claim)) => return Ok(Ok(Here::Met(claim))),
                Ok(None) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        // It can be claimed, unless a transaction has done so.
        let says: String = sqlx::query_scalar(statements.lock.sql())
            .bind(locks.request)
            .bind(locks.slot)
            .bind(&guard)
            .bind(locks.guard(Lock::SameFingerprint))
            .bind(locks.guard(Lock::OtherFingerprint))
            .fetch_one(&mut **transaction)
            .await?;
        if says == locks.guard(Lock::OtherFingerprint) {
            return Ok(Ok(Here::Met(Claim::Mismatch)));
        }
        if says != guard {
            // A transaction has no lease.
            return Ok(Ok(Here::Met(Claim::InFlight {
                lease_left: request.lease,
            })));
        }
        let row = claim_in(&statements.claim, request, true, Some(&guard))
            .fetch_optional(&mut **transaction)
            .await?;
        Ok(match &row {
            Some(row) if row.try_get("won")? => row::claimed(request.slot, row).map(Here::Won),
            Some(row) => row::slot(row).and_then(|seen| {
                let met = seen.meets(request)?;
                Ok(met.map_or(Here::Again, Here::Met))
            }),
            None => Ok(Here::Again),
        })
    }

    async fn try_conclude(
        &self,
        mut transaction: Transaction,
        request: &ClaimRequest,
        ending: &Ending,
    ) -> Result<Concluded, StoreError> {
        let statements = &self.inner.statements;
        let locks = Locks::of(request, self.inner.names.slots());
        let guard = locks.guard(Lock::Won);
        match transaction.depth() {
            0 => return Ok(Concluded::Escaped),
            1 => {}
            // Dropped here, the connection is closed, and the transaction rolled back: if it is ours.
            _ => {
                let says = setting(&mut transaction).await.map_err(in_transaction)?;
                if says != guard {
                    return Ok(Concluded::Escaped);
                }
                return Err(StoreError::Refused {
                    reason: "the work has left a nested transaction open; commit it or drop it"
                        .to_owned(),
                });
            }
        }
        let keeps = matches!(
            ending,
            Ending::Complete {
                writes: Writes::Keep,
                ..
            }
        );
        if !keeps {
            let undo = format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}");
            match raw_sql(AssertSqlSafe(undo))
                .execute(&mut *transaction)
                .await
            {
                Ok(_) => {}
                Err(error) if is_over(&error) => return Ok(Concluded::Escaped),
                Err(error) => return Err(in_transaction(error)),
            }
            if !transaction.is_beside_its_claim() {
                let again = self.claim_here(&mut transaction, &locks, request).await;
                if !matches!(again.map_err(in_transaction)??, Here::Won(_)) {
                    transaction.rollback().await.map_err(in_transaction)?;
                    return Ok(Concluded::Fenced);
                }
            }
        }
        let written = match ending {
            Ending::Complete {
                grant,
                record,
                retention,
                ..
            } => complete_in(
                &statements.complete,
                grant,
                record,
                *retention,
                Some(&guard),
            )
            .execute(&mut *transaction)
            .await
            .map(|done| done.rows_affected()),
            Ending::Release { grant, ttl } => {
                release_in(&mut transaction, &statements.release, grant, *ttl).await
            }
            Ending::Abandon => Ok(0),
        };
        if written.map_err(in_transaction)? > 0 {
            transaction.commit().await.map_err(in_transaction)?;
            return Ok(Concluded::Done);
        }
        let says = setting(&mut transaction).await.map_err(in_transaction)?;
        if says != guard {
            return Ok(Concluded::Escaped);
        }
        transaction.rollback().await.map_err(in_transaction)?;
        Ok(Concluded::Fenced)
    }

    /// Nobody is to run what may have been committed. On a connection of its own:
    /// what is open on the handler's is for the handler's own statements to say.
    async fn mark_unknown(&self, request: ClaimRequest) -> Result<(), StoreError> {
        let silent = ClaimRequest {
            lease: Duration::ZERO,
            on_crash: OnCrash::Refuse,
            ..request
        };
        let statement = &self.inner.statements.claim;
        let asked = claim_in(statement, &silent, true, None);
        self.inner.row(asked).await?;
        Ok(())
    }
}

fn refused(reason: &str) -> StoreError {
    StoreError::Refused {
        reason: reason.to_owned(),
    }
}

const SAVEPOINT: &str = "idem_work";

/// What `idem.claim` is set to in this transaction; empty outside of ours.
async fn setting(transaction: &mut Transaction) -> Result<String, sqlx::Error> {
    let says: Option<String> = sqlx::query_scalar("SELECT current_setting('idem.claim', true)")
        .fetch_one(&mut **transaction)
        .await?;
    Ok(says.unwrap_or_default())
}

fn is_conflict(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(Postgres::is_conflict)
}

/// The advisory locks of a claim, and the words for who has them.
struct Locks {
    slot: i64,
    request: i64,
    owner: String,
}

#[derive(Clone, Copy)]
enum Lock {
    /// This transaction.
    Won,
    /// One with another fingerprint.
    OtherFingerprint,
    /// One with the same fingerprint.
    SameFingerprint,
}

impl Locks {
    fn of(request: &ClaimRequest, table: &str) -> Self {
        let slot = request.slot.as_bytes();
        let owner = request.owner.as_bytes();
        Self {
            slot: number(&[b"slot", table.as_bytes(), slot]),
            request: number(&[
                b"request",
                table.as_bytes(),
                slot,
                request.fingerprint.as_bytes(),
            ]),
            owner: owner.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn guard(&self, lock: Lock) -> String {
        let word = match lock {
            Lock::Won => "won",
            Lock::OtherFingerprint => "other",
            Lock::SameFingerprint => "same",
        };
        format!("{} {word}", self.owner)
    }
}

/// Of the 2^64 advisory locks, that of these bytes. Two that meet by chance keep
/// each other waiting, no more.
fn number(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    i64::from_be_bytes(first)
}
