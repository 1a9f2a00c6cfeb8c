//! Stored answers and recovery points, encrypted and bound to their request.
//!
//! A runtime with a [`Keyring`] *seals* whatever it gives the store of an answer, of a
//! job's result or of a step's result, and opens it before it uses it. Stores know
//! nothing of it, so all of them have it. Without a keyring nothing is sealed.
//!
//! ```
//! use idem_core::{MemoryStore, Runtime, Scope, encryption::{Key, Keyring}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (of_november, of_october) = ([11; 32], [10; 32]);
//! // 32 random bytes each, from where your service has its secrets.
//! let keys = Keyring::new(Key::new("2026-11", &of_november)?)
//!     .also_reads(Key::new("2026-10", &of_october)?)?;
//! let runtime = Runtime::builder(MemoryStore::new()).encryption(keys).build()?;
//! let done = runtime
//!     .once("send", &Scope::GLOBAL, "k-1", &1250, || async { Ok::<_, std::io::Error>(17) })
//!     .await?;
//! assert_eq!(done.value, 17);
//! # Ok(())
//! # }
//! ```
//!
//! # Against whom
//!
//! Against somebody who has a dump of the store or a backup of it, and somebody who can
//! write to the store, but has not the keys.
//!
//! | hidden | not hidden |
//! | --- | --- |
//! | the status, headers and body of an answer | its size, to the byte |
//! | the result of a job | that and when there was one, its state, attempts, lease and expiry |
//! | the result of a step, and its type's name | the step's name, and how many there are |
//! | | the slot, the fingerprint, the name of the key |
//!
//! Slot and fingerprint are digests; where keys or payloads can be guessed, a secret
//! ([`RuntimeBuilder::secret`](crate::RuntimeBuilder::secret)) hides the first, and nothing
//! hides the second.
//!
//! What is sealed opens only as what it was sealed as: the record of this slot and this
//! fingerprint, or the result of this step of it. It cannot be altered, moved to another
//! slot, request or step, or be a record if it was a step's result. What somebody who
//! writes to the store can do is to delete it, to put an older one of the very same place
//! back, or to write another state, such as one in flight: that a slot is not claimed is
//! the store's word alone.
//!
//! # What does not open
//!
//! …is never replayed, and **nothing runs in its place**: what is altered or truncated,
//! sealed under a key that is not in the keyring, sealed where there is no keyring, or
//! *not* sealed where there is one. The call ends with
//! [`StoreError::Unopened`](crate::StoreError::Unopened), also where it would
//! [fail open](crate::OnStoreError::FailOpen). If it is a recovery point, the work is not
//! begun, and the slot is given back with what is in it.
//!
//! # Rotation
//!
//! 1. Give every node the new key by [`also_reads`](Keyring::also_reads).
//! 2. When all have it, make it the first, [`Keyring::new`]'s, on every node, with the old
//!    one in `also_reads`.
//! 3. When the longest ttl and grace have passed since the last node sealed under the old
//!    key, and no slot waits for an operator that was begun before, drop it.
//!
//! Switching it on over a store with records: give every node the keyring with
//! [`reads_unsealed`](Keyring::reads_unsealed), and drop that when the longest ttl and
//! grace have passed. A node of a version without keys answers with an error meanwhile
//! what one with keys has sealed.
//!
//! # The form
//!
//! XChaCha20-Poly1305 ([draft-irtf-cfrg-xchacha]) under a random nonce of 192 bits from the
//! operating system for each. At this length random nonces may be drawn under one key without
//! counting; AES-GCM-SIV ([RFC 8452]) also survives a repeated nonce, but its nonces of 96
//! bits are too short to be drawn at random for as long as that, and it is slow and hard to
//! make constant in time where there are no instructions for AES.
//!
//! The associated data are, each behind its length (`u32`, LE): the version of
//! the form, `"record"` or `"step"`, the step's name (empty for a record), the key's name,
//! slot, fingerprint. The rest is in [`record`](crate::record).
//!
//! [draft-irtf-cfrg-xchacha]: https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha-03
//! [RFC 8452]: https://www.rfc-editor.org/rfc/rfc8452

mod cipher;
mod keyring;

pub use self::keyring::{KEY_BYTES, Key, Keyring, KeyringError};
pub use crate::record::{KeyId, KeyIdError, MAX_KEY_ID_BYTES, OpenError, Unopened};
