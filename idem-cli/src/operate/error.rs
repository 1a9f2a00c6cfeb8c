//! Why a command was not carried out. Each says what to do.

use std::{error::Error, io, path::PathBuf, time::Duration};

use idem_core::{StoreError, encryption::KeyringError, record::KeyId};

type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum OperateError {
    #[error(
        "a store in memory is within its service's process, and gone with it: no other process can open it"
    )]
    Memory,

    #[error(
        "`{url}` is no store; --store (or IDEM_STORE) is postgres://…, sqlite:PATH, redis://…, \
         rediss://…, redis-cluster://… or redis-sentinel://…"
    )]
    Address { url: String },

    #[error("{option} is not for the store {store}; it is for {instead}")]
    Option {
        option: &'static str,
        store: String,
        instead: &'static str,
    },

    #[error(
        "there is no file {}; this program makes none: the service does, when it starts", .file.display()
    )]
    NoFile { file: PathBuf },

    #[error("the file {} cannot be read", .file.display())]
    File {
        file: PathBuf,
        #[source]
        cause: io::Error,
    },

    #[error(
        "the file {} is no store of idem: it is no SQLite database with a write-ahead log, and each \
         store has one", .file.display()
    )]
    NotAStore { file: PathBuf },

    #[error("the store {store} cannot be opened")]
    Open {
        store: String,
        #[source]
        cause: Cause,
    },

    #[error("the store {store} has not answered within {limit:?}")]
    NoAnswer { store: String, limit: Duration },

    #[error(
        "the store {store} cannot be used (this program makes no tables; the service does, when it \
         starts{look_at})"
    )]
    Unusable {
        store: String,
        look_at: &'static str,
        #[source]
        cause: StoreError,
    },

    #[error("the store {store} did not do it")]
    Store {
        store: String,
        #[source]
        cause: StoreError,
    },

    #[error(
        "it is not known whether the store {store} has the decision. Resolve it again with the same \
         fence: that is safe, and says `moved` if it has"
    )]
    Ambiguous {
        store: String,
        #[source]
        cause: StoreError,
    },

    #[error("say which slot: its digits, or --operation with --scope and --key")]
    NoSlot,

    #[error("the environment has no text in {name}, which should be the service's secret")]
    Secret { name: String },

    #[error(
        "an encryption key is written ID=BASE64, as in 2026-11=…, with 32 bytes in base64; what was given is \
         not that"
    )]
    KeyForm,

    #[error("an encryption key cannot be used")]
    Key(#[source] KeyringError),

    #[error(
        "the store {store} has records that are sealed, such as under the key \"{key}\": the service would refuse one \
         that is not. Say --encryption-key (or IDEM_ENCRYPTION_KEYS), or --unsealed if the slot is of a \
         service that does not seal. Nothing was changed"
    )]
    SealedStore { store: String, key: KeyId },

    #[error("{what} of {given} is not possible: {rule}")]
    Retention {
        what: &'static str,
        given: humantime::Duration,
        rule: &'static str,
    },

    #[error("the header `{name}` belongs to one message, and no service records it: leave it out")]
    Header { name: http::HeaderName },

    #[error("an answer of status {status} has no body: leave --body out")]
    Bodiless { status: u16 },

    #[error("the status {status} is not a final answer's; it is from 200 to 599")]
    Status { status: u16 },

    #[error("the value is not JSON")]
    Value(#[source] serde_json::Error),

    #[error("nobody is named who decides: say --by NAME")]
    Nobody,

    #[error(
        "refused: this is a decision, and there is no terminal to ask on; say --yes. Nothing was changed"
    )]
    NoTerminal,

    #[error("the terminal cannot be read; nothing was changed")]
    Terminal(#[source] io::Error),

    #[error("the output cannot be written")]
    Output(#[source] io::Error),
}
