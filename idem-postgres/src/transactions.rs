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
//! A claim that [has an alias](ClaimRequest::alias) has two more such locks, of both
//! names together and taken before the savepoint. On them correctness does hang:
//! the rows of two names have no key in common.
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
    Alias, Begun, Claim, ClaimRequest, Claimed, Concluded, Ending, OnCrash, StoreError,
    Transactional, Under, Writes,
};
use idem_sql::{Leased, OpenTransaction, TxDatabase as _};
use sqlx::{AssertSqlSafe, Postgres, Row, SqlSafeStr, raw_sql};

use crate::{
    PostgresStore,
    error::{in_transaction, is_over, of_beginning},
    isolation::{Isolation, NEEDS_READ_COMMITTED},
    locks::{Lock, Locks},
    row,
    store::{TRIES, asked_for, claim_in, complete_in, query, release_in},
};

type Transaction = OpenTransaction<Postgres>;

impl Transactional for PostgresStore {
    type Transaction = Transaction;

    async fn begin(&self, request: ClaimRequest) -> Result<Begun<Transaction>, StoreError> {
        for _ in 0..TRIES {
            match self.try_begin(request).await {
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
        let connection = Leased::of(&inner.transactions).await;
        let connection = connection.map_err(of_beginning)?;
        let transaction = Transaction::begin_beside(connection, begin, request);
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
        let request = match &ending {
            Ending::Complete { grant, .. } | Ending::Release { grant, .. } => {
                transaction.request().at(grant.slot)
            }
            Ending::Abandon => *transaction.request(),
        };
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

impl Here {
    fn under(self, under: Under) -> Self {
        match self {
            Self::Won(claimed) => Self::Won(Claimed { under, ..claimed }),
            Self::Met(claim) => Self::Met(claim.found_under(under)),
            Self::Again => Self::Again,
        }
    }
}

impl PostgresStore {
    /// `None`: to be asked for again.
    async fn try_begin(
        &self,
        request: ClaimRequest,
    ) -> Result<Option<Result<Begun<Transaction>, StoreError>>, sqlx::Error> {
        let inner = &self.inner;
        let begin = match request.alias {
            None => format!("{}; SAVEPOINT {SAVEPOINT}", inner.isolation.begin()),
            Some(_) => inner.isolation.begin().to_owned(),
        };
        let begin = AssertSqlSafe(begin).into_sql_str();
        let connection = Leased::of(&inner.transactions).await?;
        let mut transaction = Transaction::begin(connection, begin, request).await?;
        let here = match &request.alias {
            None => self.claim_here(&mut transaction, &request).await?,
            Some(alias) => {
                self.claim_either_here(&mut transaction, &request, alias)
                    .await?
            }
        };
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

    /// Claims whichever of the two slots there is in this transaction, which has the
    /// locks of both together until it ends: so nobody claims one of them meanwhile
    /// who knows of the other. What others have committed who had them before is read
    /// beside the transaction, whose own snapshot may be older than the locks.
    async fn claim_either_here(
        &self,
        transaction: &mut Transaction,
        request: &ClaimRequest,
        alias: &Alias,
    ) -> Result<Result<Here, StoreError>, sqlx::Error> {
        let locks = Locks::of_both(request, alias, self.inner.names.slots());
        if let Some(claim) = self
            .lock(transaction, &locks, Lock::WonBoth, request)
            .await?
        {
            return Ok(Ok(Here::Met(claim)));
        }
        // Only now, so that rolling back to it does not give the locks up.
        raw_sql(AssertSqlSafe(format!("SAVEPOINT {SAVEPOINT}")))
            .execute(&mut **transaction)
            .await?;
        let under = match self.inner.look(request, alias).await {
            Ok((_, Some(claim))) => return Ok(Ok(Here::Met(claim))),
            Ok((under, None)) => under,
            Err(error) => return Ok(Err(error)),
        };
        let here = self.claim_here(transaction, &request.under(under)).await?;
        Ok(here.map(|here| here.under(under)))
    }

    /// Tries the locks of a claim. What it meets, if another transaction has them.
    async fn lock(
        &self,
        transaction: &mut Transaction,
        locks: &Locks,
        won: Lock,
        request: &ClaimRequest,
    ) -> Result<Option<Claim>, sqlx::Error> {
        let says: String = sqlx::query_scalar(self.inner.statements.lock.sql())
            .bind(locks.request)
            .bind(locks.slot)
            .bind(locks.guard(won))
            .bind(locks.guard(Lock::SameFingerprint))
            .bind(locks.guard(Lock::OtherFingerprint))
            .fetch_one(&mut **transaction)
            .await?;
        Ok(if says == locks.guard(won) {
            None
        } else if says == locks.guard(Lock::OtherFingerprint) {
            Some(Claim::Mismatch)
        } else {
            // A transaction has no lease.
            Some(Claim::InFlight {
                lease_left: request.lease,
            })
        })
    }

    /// Claims the slot in this transaction. A row of ours that is ever committed in
    /// flight was not committed by us, so it refuses to be taken over.
    async fn claim_here(
        &self,
        transaction: &mut Transaction,
        request: &ClaimRequest,
    ) -> Result<Result<Here, StoreError>, sqlx::Error> {
        let statements = &self.inner.statements;
        let locks = Locks::of(request, self.inner.names.slots());
        let guard = locks.guard(Lock::Won);
        let fresh = asked_for(&statements.claim_fresh, request)
            .bind(locks.request)
            .bind(locks.slot)
            .bind(&guard)
            .fetch_optional(&mut **transaction)
            .await?;
        if fresh.is_some() {
            return Ok(Ok(Here::Won(Claimed::first())));
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
        if let Some(claim) = self.lock(transaction, &locks, Lock::Won, request).await? {
            return Ok(Ok(Here::Met(claim)));
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
                let again = self.claim_here(&mut transaction, request).await;
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
