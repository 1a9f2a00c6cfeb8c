//! Transactions behind a pointer, so that the runtime is one type for all stores.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
};

use futures_util::future::BoxFuture;

use super::{Begun, Concluded, Ending, TransactionHandle, Transactional};
use crate::{ClaimRequest, StoreError};

/// The transactions of a store, whichever it is: what [`Store::transactions`](crate::Store::transactions)
/// answers.
#[derive(Clone)]
pub struct Transactions {
    store: Arc<dyn Erased>,
    kind: TypeId,
}

pub(crate) type AnyTransaction = Box<dyn Any + Send>;

impl Transactions {
    /// The transactions of `store`.
    pub fn of<S: Transactional>(store: S) -> Self {
        Self {
            store: Arc::new(store),
            kind: TypeId::of::<S::Transaction>(),
        }
    }

    /// Whether they are what `H` is a handle to.
    #[must_use]
    pub fn fit<H: TransactionHandle>(&self) -> bool {
        self.kind == TypeId::of::<H::Transaction>()
    }

    pub(crate) async fn begin(
        &self,
        request: ClaimRequest,
    ) -> Result<Begun<AnyTransaction>, StoreError> {
        self.store.begin(request).await
    }

    /// Why they cannot be opened [beside a claim](Transactional::open), if they cannot.
    #[must_use]
    pub fn refuse_steps(&self) -> Option<&'static str> {
        self.store.refuses_to_open()
    }

    pub(crate) async fn open(&self, request: ClaimRequest) -> Result<AnyTransaction, StoreError> {
        self.store.open(request).await
    }

    pub(crate) async fn conclude(
        &self,
        transaction: AnyTransaction,
        ending: Ending,
    ) -> Result<Concluded, StoreError> {
        self.store.conclude(transaction, ending).await
    }
}

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transactions").finish_non_exhaustive()
    }
}

trait Erased: Send + Sync {
    fn begin(
        &self,
        request: ClaimRequest,
    ) -> BoxFuture<'_, Result<Begun<AnyTransaction>, StoreError>>;

    fn open(&self, request: ClaimRequest) -> BoxFuture<'_, Result<AnyTransaction, StoreError>>;

    fn refuses_to_open(&self) -> Option<&'static str>;

    fn conclude(
        &self,
        transaction: AnyTransaction,
        ending: Ending,
    ) -> BoxFuture<'_, Result<Concluded, StoreError>>;
}

impl<S: Transactional> Erased for S {
    fn begin(
        &self,
        request: ClaimRequest,
    ) -> BoxFuture<'_, Result<Begun<AnyTransaction>, StoreError>> {
        Box::pin(async move {
            Ok(match Transactional::begin(self, request).await? {
                Begun::Claimed(transaction, claimed) => {
                    let transaction: AnyTransaction = Box::new(transaction);
                    Begun::Claimed(transaction, claimed)
                }
                Begun::Not(claim) => Begun::Not(claim),
            })
        })
    }

    fn open(&self, request: ClaimRequest) -> BoxFuture<'_, Result<AnyTransaction, StoreError>> {
        Box::pin(async move {
            let transaction: AnyTransaction = Box::new(Transactional::open(self, request).await?);
            Ok(transaction)
        })
    }

    fn refuses_to_open(&self) -> Option<&'static str> {
        Transactional::refuses_to_open(self)
    }

    fn conclude(
        &self,
        transaction: AnyTransaction,
        ending: Ending,
    ) -> BoxFuture<'_, Result<Concluded, StoreError>> {
        Box::pin(async move {
            match transaction.downcast::<S::Transaction>() {
                Ok(transaction) => Transactional::conclude(self, *transaction, ending).await,
                // `begin` of this very store has made it.
                Err(_) => Err(StoreError::Refused {
                    reason: "the transaction is another store's".to_owned(),
                }),
            }
        })
    }
}
