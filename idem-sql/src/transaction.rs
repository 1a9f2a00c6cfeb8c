//! An open transaction on a connection of its own.

use std::{
    any::Any,
    fmt,
    ops::{Deref, DerefMut},
};

use idem_core::ClaimRequest;
use sqlx::{Database, SqlStr};
use sqlx_core::transaction::TransactionManager;

use crate::Leased;

/// An open transaction, known to sqlx, so that a `begin` within it is a
/// savepoint. Dropped, its connection is closed, which rolls it back.
pub struct OpenTransaction<DB: Database> {
    connection: Leased<DB>,
    request: ClaimRequest,
    is_beside: bool,
    kept: Option<Box<dyn Any + Send>>,
}

impl<DB: Database> OpenTransaction<DB> {
    /// Begins with this statement, for this claim.
    ///
    /// # Errors
    /// [`sqlx::Error`]: no transaction is open.
    pub async fn begin(
        mut connection: Leased<DB>,
        statement: SqlStr,
        request: ClaimRequest,
    ) -> Result<Self, sqlx::Error> {
        DB::TransactionManager::begin(&mut connection, Some(statement)).await?;
        Ok(Self {
            connection,
            request,
            is_beside: false,
            kept: None,
        })
    }

    /// The same for a claim that is committed outside of it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn begin_beside(
        connection: Leased<DB>,
        statement: SqlStr,
        request: ClaimRequest,
    ) -> Result<Self, sqlx::Error> {
        let mut transaction = Self::begin(connection, statement, request).await?;
        transaction.is_beside = true;
        Ok(transaction)
    }

    /// Whether the claim is committed outside of it.
    #[must_use]
    pub const fn is_beside_its_claim(&self) -> bool {
        self.is_beside
    }

    /// Keeps a value until the transaction has ended.
    pub fn keep(&mut self, value: impl Any + Send) {
        self.kept = Some(Box::new(value));
    }

    /// What it keeps, which is then the caller's to keep.
    pub fn kept(&mut self) -> Option<Box<dyn Any + Send>> {
        self.kept.take()
    }

    /// The claim that it was begun for.
    #[must_use]
    pub const fn request(&self) -> &ClaimRequest {
        &self.request
    }

    /// 1: as it began. More: savepoints of sqlx's are open. 0: sqlx has rolled it
    /// back, because the future of a nested `begin` was dropped.
    #[must_use]
    pub fn depth(&self) -> usize {
        DB::TransactionManager::get_transaction_depth(&self.connection)
    }

    /// Commits it and gives the connection back.
    ///
    /// # Errors
    /// [`sqlx::Error`]: it may or may not have committed.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        DB::TransactionManager::commit(&mut self.connection).await?;
        let Self {
            connection, kept, ..
        } = self;
        drop(kept);
        connection.done();
        Ok(())
    }

    /// Rolls it back and gives the connection back.
    ///
    /// # Errors
    /// [`sqlx::Error`]: its connection is closed, which rolls it back too.
    pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
        DB::TransactionManager::rollback(&mut self.connection).await?;
        let Self {
            connection, kept, ..
        } = self;
        drop(kept);
        connection.done();
        Ok(())
    }
}

impl<DB: Database> Deref for OpenTransaction<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.connection
    }
}

impl<DB: Database> DerefMut for OpenTransaction<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.connection
    }
}

impl<DB: Database> fmt::Debug for OpenTransaction<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTransaction").finish_non_exhaustive()
    }
}
