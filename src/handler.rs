//! What the attribute says of each handler, collected at link time.

use std::time::Duration;

use idem_core::{OnCrash, OnStoreError, Overrides, TransactionHandle, Transactions};

use crate::{
    headers::KEY_HEADER,
    policy::{Profile, RecordRule},
};

/// One annotated handler. The attribute writes one for each, as a constant.
#[derive(Debug, Clone, Copy)]
pub struct HandlerSpec {
    pub(crate) id: u64,
    pub(crate) place: Place,
    pub(crate) rules: Rules,
}

/// Where a handler is written, for error messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScopeRule {
    Named(&'static str),
    Global,
    /// The handler computes it from its arguments.
    Expression,
}

/// Where the key comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyRule {
    Header(&'static str),
    /// The handler computes it from its arguments.
    Expression,
}

/// Everything that one endpoint says of its keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) scope: ScopeRule,
    pub(crate) key: KeyRule,
    pub(crate) key_optional: bool,
    pub(crate) operation: Option<&'static str>,
    pub(crate) overrides: Overrides,
    pub(crate) record: Option<RecordRule>,
    pub(crate) profile: Option<Profile>,
    pub(crate) max_response: Option<usize>,
    pub(crate) transaction: Option<TransactionRule>,
    pub(crate) steps: bool,
    pub(crate) retries: u32,
}

/// The transaction that a handler takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransactionRule {
    /// Its type, such as `Tx<Postgres>`.
    pub(crate) name: &'static str,
    /// Whether a store has such ones.
    pub(crate) fits: fn(&Transactions) -> bool,
}

impl Rules {
    pub(crate) const fn new(ttl: Duration) -> Self {
        let mut overrides = Overrides::NONE;
        overrides.ttl = Some(ttl);
        Self {
            scope: ScopeRule::Global,
            key: KeyRule::Header(KEY_HEADER),
            key_optional: false,
            operation: None,
            overrides,
            record: None,
            profile: None,
            max_response: None,
            transaction: None,
            steps: false,
            retries: 0,
        }
    }
}

inventory::collect!(HandlerSpec);

impl HandlerSpec {
    /// Whether it is written in `module` or below it.
    pub(crate) fn is_in(&self, module: &str) -> bool {
        self.place
            .module
            .strip_prefix(module)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// Every handler of this program that carries the attribute.
pub(crate) fn registered() -> impl Iterator<Item = &'static HandlerSpec> {
    inventory::iter::<HandlerSpec>.into_iter()
}

/// The attribute calls only what its arguments name.
#[doc(hidden)]
impl HandlerSpec {
    #[must_use]
    pub const fn new(
        id: u64,
        name: &'static str,
        module: &'static str,
        file: &'static str,
        line: u32,
        ttl_ms: u64,
    ) -> Self {
        Self {
            id,
            place: Place {
                module,
                name,
                file,
                line,
            },
            rules: Rules::new(Duration::from_millis(ttl_ms)),
        }
    }

    #[must_use]
    pub const fn scope_named(mut self, name: &'static str) -> Self {
        self.rules.scope = ScopeRule::Named(name);
        self
    }

    #[must_use]
    pub const fn scope_global(mut self) -> Self {
        self.rules.scope = ScopeRule::Global;
        self
    }

    #[must_use]
    pub const fn scope_expression(mut self) -> Self {
        self.rules.scope = ScopeRule::Expression;
        self
    }

    #[must_use]
    pub const fn key_header(mut self, name: &'static str) -> Self {
        self.rules.key = KeyRule::Header(name);
        self
    }

    #[must_use]
    pub const fn key_optional(mut self) -> Self {
        self.rules.key_optional = true;
        self
    }

    #[must_use]
    pub const fn key_expression(mut self) -> Self {
        self.rules.key = KeyRule::Expression;
        self
    }

    #[must_use]
    pub const fn operation(mut self, name: &'static str) -> Self {
        self.rules.operation = Some(name);
        self
    }

    #[must_use]
    pub const fn grace_ms(mut self, ms: u64) -> Self {
        self.rules.overrides.grace = Some(Duration::from_millis(ms));
        self
    }

    #[must_use]
    pub const fn lease_ms(mut self, ms: u64) -> Self {
        self.rules.overrides.lease = Some(Duration::from_millis(ms));
        self
    }

    #[must_use]
    pub const fn wait_ms(mut self, ms: u64) -> Self {
        self.rules.overrides.wait = Some(Duration::from_millis(ms));
        self
    }

    #[must_use]
    pub const fn on_crash_takeover(mut self) -> Self {
        self.rules.overrides.on_crash = Some(OnCrash::TakeOver);
        self
    }

    #[must_use]
    pub const fn on_crash_refuse(mut self) -> Self {
        self.rules.overrides.on_crash = Some(OnCrash::Refuse);
        self
    }

    #[must_use]
    pub const fn fail_closed(mut self) -> Self {
        self.rules.overrides.store_error = Some(OnStoreError::FailClosed);
        self
    }

    #[must_use]
    pub const fn fail_open(mut self) -> Self {
        self.rules.overrides.store_error = Some(OnStoreError::FailOpen);
        self
    }

    #[must_use]
    pub const fn record_default(mut self) -> Self {
        self.rules.record = Some(RecordRule::Default);
        self
    }

    #[must_use]
    pub const fn record_all(mut self) -> Self {
        self.rules.record = Some(RecordRule::All);
        self
    }

    #[must_use]
    pub const fn record_success(mut self) -> Self {
        self.rules.record = Some(RecordRule::Success);
        self
    }

    #[must_use]
    pub const fn profile_conflict(mut self) -> Self {
        self.rules.profile = Some(Profile::Conflict);
        self
    }

    #[must_use]
    pub const fn profile_ietf(mut self) -> Self {
        self.rules.profile = Some(Profile::Ietf);
        self
    }

    #[must_use]
    pub const fn transaction<H: TransactionHandle>(mut self) -> Self {
        self.rules.transaction = Some(TransactionRule {
            name: H::NAME,
            fits: Transactions::fit::<H>,
        });
        self
    }

    #[must_use]
    pub const fn steps(mut self) -> Self {
        self.rules.steps = true;
        self
    }

    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.rules.retries = retries;
        self
    }

    #[must_use]
    pub const fn max_response(mut self, bytes: usize) -> Self {
        self.rules.max_response = Some(bytes);
        self
    }
}
