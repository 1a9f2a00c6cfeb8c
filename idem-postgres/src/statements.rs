//! The store's statements, with the names of its tables.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::schema::Names;

/// What a slot's row is read from: times as what is left of them, in µs.
const COLUMNS: &str = "fingerprint, owner, fence, attempt::bigint AS attempt, state, refuse, taken_over, \
    (extract(epoch FROM until - now) * 1000000)::bigint AS until, \
    (extract(epoch FROM delete_at - now) * 1000000)::bigint AS deleted_in, \
    step_names, step_values, record";

/// One statement: shared, because sqlx takes each anew.
#[derive(Debug, Clone)]
pub(crate) struct Statement(Arc<str>);

impl Statement {
    fn new(text: &str, names: &Names) -> Self {
        let text = text
            .replace("{slots}", names.slots())
            .replace("{meters}", names.meters())
            .replace("{columns}", COLUMNS);
        Self(text.into())
    }

    /// The names in it are checked, everything else is a parameter.
    pub(crate) fn sql(&self) -> SqlStr {
        AssertSqlSafe(Arc::clone(&self.0)).into_sql_str()
    }
}

#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) claim: Statement,
    pub(crate) claim_first: Statement,
    pub(crate) claim_fresh: Statement,
    pub(crate) lock: Statement,
    pub(crate) renew: Statement,
    pub(crate) renew_many: Statement,
    pub(crate) checkpoint: Statement,
    pub(crate) complete: Statement,
    pub(crate) release: Statement,
    pub(crate) inspect: Statement,
    pub(crate) inspect_either: Statement,
    pub(crate) list: Statement,
    pub(crate) resolve: Statement,
    pub(crate) reap: Statement,
    pub(crate) spend: Statement,
    pub(crate) reap_meters: Statement,
}

impl Statements {
    pub(crate) fn new(names: &Names) -> Self {
        let statement = |text| Statement::new(text, names);
        Self {
            claim: statement(include_str!("sql/claim.sql")),
            claim_first: statement(include_str!("sql/claim_first.sql")),
            claim_fresh: statement(include_str!("sql/claim_fresh.sql")),
            lock: statement(include_str!("sql/lock.sql")),
            renew: statement(include_str!("sql/renew.sql")),
            renew_many: statement(include_str!("sql/renew_many.sql")),
            checkpoint: statement(include_str!("sql/checkpoint.sql")),
            complete: statement(include_str!("sql/complete.sql")),
            release: statement(include_str!("sql/release.sql")),
            inspect: statement(include_str!("sql/inspect.sql")),
            inspect_either: statement(include_str!("sql/inspect_either.sql")),
            list: statement(include_str!("sql/list.sql")),
            resolve: statement(include_str!("sql/resolve.sql")),
            reap: statement(include_str!("sql/reap.sql")),
            spend: statement(include_str!("sql/spend.sql")),
            reap_meters: statement(include_str!("sql/reap_meters.sql")),
        }
    }
}
