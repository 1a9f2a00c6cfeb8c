//! Two nodes at neighbouring stages of a rotation of the secret.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;

use crate::{
    Call, Execution, FingerprintBuilder, Finish, IdempotencyKey, Operation, PolicyError, Runtime,
    Scope, Store,
};

/// Two runtimes over one store: one that stores under the old secret and accepts the
/// new, and one the other way round, see
/// [`RuntimeBuilder::accept_secret`](crate::RuntimeBuilder::accept_secret).
#[derive(Debug)]
pub struct Stages([Runtime; 2]);

impl Stages {
    /// Each runtime has a handle of its own to the store that they share.
    ///
    /// # Errors
    /// [`PolicyError::SecondSecret`]: the store does not understand a second name.
    pub fn over<S: Store>(stores: [S; 2]) -> Result<Self, PolicyError> {
        let [second, third] = stores.map(Runtime::builder);
        Ok(Self([
            second.secret("old").accept_secret("new").build()?,
            third.secret("new").accept_secret("old").build()?,
        ]))
    }

    /// The two runtimes.
    #[must_use]
    pub const fn nodes(&self) -> &[Runtime; 2] {
        &self.0
    }

    /// The call of the key with this number, as a node makes it.
    ///
    /// # Panics
    /// Never: a number is a key.
    #[must_use]
    #[allow(clippy::expect_used, reason = "digits are a key")]
    pub fn call(node: &Runtime, key: usize) -> Call {
        let key = IdempotencyKey::new(key.to_string()).expect("digits are a key");
        let (operation, asked) = (Operation::new("pay"), FingerprintBuilder::new().finish());
        node.call(operation, &Scope::GLOBAL, &key, asked, node.settings())
    }

    /// What each call's work ends with.
    #[must_use]
    pub fn done() -> Finish<()> {
        Finish::Record {
            answer: (),
            record: Bytes::from_static(b"done"),
        }
    }

    /// `racers` duplicates of each of `keys` keys at once, from both nodes in turn: one
    /// runs, and afterwards each node replays it.
    ///
    /// # Panics
    /// When a key ran twice or not at all, or is not replayed.
    #[allow(clippy::panic, reason = "a test's verdict")]
    pub async fn race(&self, keys: usize, racers: usize) {
        for key in 0..keys {
            let ran = Arc::new(AtomicUsize::new(0));
            let racing = (0..racers).map(|index| {
                let (node, ran) = (&self.0[index % 2], Arc::clone(&ran));
                tokio::spawn(node.execute(Self::call(node, key), async move {
                    ran.fetch_add(1, SeqCst);
                    Self::done()
                }))
            });
            let racing: Vec<_> = racing.collect();
            let outcomes = futures_util::future::join_all(racing).await;
            assert_eq!(ran.load(SeqCst), 1, "key {key}: {outcomes:?}");
            for node in &self.0 {
                let again = node
                    .execute(Self::call(node, key), async { Self::done() })
                    .await;
                assert!(
                    matches!(again, Execution::Replayed(_)),
                    "key {key}: {again:?}"
                );
            }
        }
    }
}
