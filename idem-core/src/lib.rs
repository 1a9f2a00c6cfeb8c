//! The protocol of [idem](https://docs.rs/idem-axum): *one key, one effect, one answer*.
//!
//! This crate knows nothing of HTTP. It has the vocabulary, the contract of a
//! [`Store`], the [`MemoryStore`], and the [`Runtime`] that claims a slot, runs
//! the work once, records its answer and replays it.
//!
//! ```
//! use idem_core::{MemoryStore, Runtime, Scope};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let idem = Runtime::builder(MemoryStore::new()).build()?;
//! let done = idem
//!     .once("send-invoice", &Scope::new("tenant", "acme")?, "inv-1", &1250, || async {
//!         Ok::<_, std::io::Error>("sent".to_owned())
//!     })
//!     .await?;
//! assert_eq!(done.value, "sent");
//! # Ok(())
//! # }
//! ```
//!
//! # The stations of a call
//!
//! [`IdempotencyKey`] → [`Scope`] → [`Fingerprint`] → [`Slot`] → [`Claim`] → run
//! → [`record`] → answer. The files are named for them and read in that order.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! | --- | --- | --- |
//! | `memory` | [`MemoryStore`] | yes |
//! | `metrics` | the numbers below, through the `metrics` facade | |
//! | `encryption` | what is stored of answers and steps is sealed, see `encryption` | |
//! | `compression` | what is stored of answers and steps is compressed, see `Compression` | |
//! | `testing` | the conformance suite that defines [`Store`], `ChaosStore`, the test clock | |
//!
//! # What it tells
//!
//! Every call runs in the span `idempotent` with the fields `operation`, `slot`
//! (its first 8 hexadecimal digits), `attempt` and `outcome`; neither key nor
//! payload is in any span or event. Under the feature `metrics`:
//!
//! | name | kind | labels | what it counts |
//! | --- | --- | --- | --- |
//! | `idem_requests_total` | counter | `operation`, `outcome` | calls, by what became of them: `executed`, `replayed`, `replayed_expired`, `released`, `pending`, `lost`, `in_progress`, `key_reused`, `outcome_unknown`, `panicked`, `not_committed`, `stopped`, `store_failed`, `unopened`, `unprotected`, `limited_live_claims`, `limited_stored_bytes`, and before any claim `key_missing`, `key_invalid`, `scope_unresolved`, `payload_unusable` |
//! | `idem_store_duration_seconds` | histogram | `verb`, `result` | one try of a store command, `ok` or `error` |
//! | `idem_in_flight` | gauge | `operation` | calls being served now |
//! | `idem_heartbeats_total` | counter | `result` | renewals: `renewed`, `fenced`, `failed` |
//! | `idem_takeovers_total` | counter | `operation` | claims taken over from an execution that fell silent |
//! | `idem_fenced_total` | counter | `operation` | executions that ended after another had taken over |
//! | `idem_cached_replays_total` | counter | `operation` | records that were replayed from the process's own [memory](ReplayCache) |
//! | `idem_alias_total` | counter | `operation` | calls answered under the secret that is [accepted](RuntimeBuilder::accept_secret) beside the own one |
//! | `idem_unopened_total` | counter | `operation`, `reason` | calls that met what does not open (features `encryption` and `compression`): `no_keyring`, `unknown_key`, `not_sealed`, `altered`, `compressed`, `malformed` |
//! | `idem_fail_open_total` | counter | `operation` | calls that ran without protection |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod claim;
mod clock;
#[cfg(feature = "compression")]
mod compression;
#[cfg(feature = "encryption")]
#[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
pub mod encryption;
pub mod fingerprint;
mod key;
mod limits;
#[cfg(feature = "memory")]
mod memory;
mod once;
mod operation;
mod policy;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod random;
pub mod record;
mod replay_cache;
mod runtime;
mod scope;
mod slot;
mod store;
mod telemetry;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod transaction;

#[cfg(feature = "compression")]
#[cfg_attr(docsrs, doc(cfg(feature = "compression")))]
pub use self::compression::Compression;
#[cfg(feature = "memory")]
pub use self::memory::MemoryStore;
pub use self::telemetry::Refusal;
pub use self::{
    claim::{
        Alias, Checkpoint, Claim, ClaimRequest, Claimed, Completed, Fence, Found, Grant, OnCrash,
        OwnerId, Renewal, Retention, Under, Written,
    },
    fingerprint::{Fingerprint, FingerprintBuilder, FingerprintError},
    key::{IdempotencyKey, KeyError, MAX_KEY_BYTES},
    limits::{Limit, Limits, SLOT_BYTES, ScopeTag, Spent},
    once::{Once, OnceError},
    operation::Operation,
    policy::{MAX_TTL, OnStoreError, Overrides, Policy, PolicyError, Settings},
    replay_cache::ReplayCache,
    runtime::{
        Call, Drained, Execution, Finish, Inspected, Lease, MAX_STEP_NAME_BYTES, MAX_STEPS,
        MAX_STEPS_BYTES, Replay, Runtime, RuntimeBuilder, Seal, StepError, Steps, StepsError, Stop,
        Stored, Worked,
    },
    scope::{Scope, ScopeError},
    slot::{ShortSlot, Slot, SlotDeriver, SlotError},
    store::{
        Cursor, ListQuery, Page, Resolution, Resolved, SlotState, SlotView, StateKind, Store,
        StoreError,
    },
    transaction::{
        Begun, Concluded, Ending, Lent, Loan, TransactionHandle, Transactional, Transactions,
        Writes, lend,
    },
};
