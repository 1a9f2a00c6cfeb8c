//! Which slot is meant.

use std::{env, ops::ControlFlow, str::FromStr};

use idem_core::{
    IdempotencyKey, Inspected, KeyError, Operation, Scope, Slot, SlotDeriver, SlotError,
};

use super::{OperateError, store::Opened};

/// What logs and spans show of a slot.
const SHORT: usize = 8;
/// How many candidates are shown of a few digits.
const CANDIDATES: usize = 20;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which slot")]
pub(crate) struct WhichArgs {
    /// Its 64 hexadecimal digits, or at least the first 8, which are what logs show
    #[arg(help_heading = None)]
    slot: Option<Digits>,

    /// The operation of the key: `POST /payments`, as the route is written; or a job's name
    #[arg(long, value_name = "NAME", conflicts_with = "slot", requires_all = ["scope", "key"])]
    operation: Option<String>,

    /// Whose key it is: `global`, `user=ana` for `scope = "user"`, `expression=ana` for `scope = user.id`
    #[arg(long, value_name = "SCOPE", requires = "operation")]
    scope: Option<GivenScope>,

    /// The key, without quotes around it
    #[arg(long, requires = "operation")]
    key: Option<Key>,

    /// The service's namespace, if it says `Idempotency::builder(…).namespace(…)` [default: idem]
    #[arg(long, value_name = "NAME", requires = "operation")]
    namespace: Option<String>,

    /// The variable of the environment that has the service's secret, if it has one. While it is
    /// rotated, once for each that it accepts (`-` for none): the key is looked for under all
    #[arg(long, value_name = "VAR", requires = "operation")]
    secret_env: Vec<String>,
}

/// A slot, or how it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Digits {
    All(Slot),
    /// By the key, under each of several secrets.
    Either(Vec<Slot>),
    /// In lower case.
    First(String),
}

impl FromStr for Digits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(slot) => Ok(Self::All(slot)),
            Err(SlotError::Length { digits }) if (SHORT..64).contains(&digits) => {
                Ok(Self::First(text.to_ascii_lowercase()))
            }
            Err(SlotError::Length { digits: ..SHORT }) => Err(format!(
                "give 64 hexadecimal digits, or at least the first {SHORT}"
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[derive(Debug, Clone)]
struct GivenScope(Scope);

impl FromStr for GivenScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "global" => Ok(Self(Scope::GLOBAL)),
            None => Err("write `global`, or KIND=ID as in `user=ana`".to_owned()),
            Some((kind, id)) => match Scope::new(kind.to_owned(), id.to_owned()) {
                Ok(scope) => Ok(Self(scope)),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

#[derive(Debug, Clone)]
struct Key(IdempotencyKey);

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        IdempotencyKey::new(text).map(Self)
    }
}

/// What was looked for, and what there is.
pub(crate) enum Found {
    One(Box<Inspected>),
    /// There is nothing under this slot.
    Absent(Slot),
    /// So many begin with these digits, of which some are here.
    Several {
        digits: String,
        number: usize,
        some: Vec<Slot>,
    },
}

impl WhichArgs {
    pub(crate) fn is_by_key(&self) -> bool {
        self.operation.is_some()
    }

    /// # Errors
    /// The secret is not in the environment.
    pub(crate) fn digits(&self) -> Result<Digits, OperateError> {
        match (&self.slot, &self.operation, &self.scope, &self.key) {
            (Some(digits), ..) => Ok(digits.clone()),
            (None, Some(operation), Some(scope), Some(key)) => {
                let operation = Operation::new(operation.as_str());
                let derivers = self.derivers()?;
                let slots = derivers.iter();
                let slots = slots.map(|deriver| deriver.slot(&operation, &scope.0, &key.0));
                Ok(Digits::Either(slots.collect()))
            }
            _ => Err(OperateError::NoSlot),
        }
    }

    /// At least one.
    fn derivers(&self) -> Result<Vec<SlotDeriver>, OperateError> {
        let namespace = self.namespace.as_deref().unwrap_or("idem");
        if self.secret_env.is_empty() {
            return Ok(vec![SlotDeriver::new(namespace)]);
        }
        let deriver = |name: &String| match env::var(name) {
            _ if name == "-" => Ok(SlotDeriver::new(namespace)),
            Ok(secret) if !secret.is_empty() => {
                Ok(SlotDeriver::keyed(namespace, secret.as_bytes()))
            }
            _ => Err(OperateError::Secret { name: name.clone() }),
        };
        self.secret_env.iter().map(deriver).collect()
    }
}

impl Digits {
    /// # Errors
    /// The store did not answer.
    pub(crate) async fn find(self, store: &Opened) -> Result<Found, OperateError> {
        match self {
            Self::All(slot) => find_one_of(vec![slot], store).await,
            Self::Either(slots) => find_one_of(slots, store).await,
            Self::First(digits) => find_beginning(digits, store).await,
        }
    }
}

/// The first that is there: at the most one is.
async fn find_one_of(slots: Vec<Slot>, store: &Opened) -> Result<Found, OperateError> {
    for slot in &slots {
        let view = store.runtime.inspect_sealed(*slot).await;
        if let Some(view) = view.map_err(|cause| store.failed(cause))? {
            return Ok(Found::One(Box::new(view)));
        }
    }
    let first = slots.first().copied();
    first.map(Found::Absent).ok_or(OperateError::NoSlot)
}

/// A store knows slots by all of their digits only.
async fn find_beginning(digits: String, store: &Opened) -> Result<Found, OperateError> {
    let mut number = 0;
    let mut some = Vec::new();
    let mut first = None;
    store
        .each(None, |view| {
            if view.slot.to_string().starts_with(&digits) {
                number += 1;
                if some.len() < CANDIDATES {
                    some.push(view.slot);
                }
                first.get_or_insert(view.slot);
            }
            ControlFlow::Continue(())
        })
        .await?;
    match first {
        // A list shows records as they are stored.
        Some(slot) if number == 1 => find_one_of(vec![slot], store).await,
        _ => Ok(Found::Several {
            digits,
            number,
            some,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = "cef75cb537be517790c4783a867507a21b81c520c74b69f4510a64a69e4e106e";

    #[test]
    fn eight_digits_are_a_beginning_and_fewer_are_nothing() {
        assert_eq!(GOLDEN.parse(), Ok(Digits::All(GOLDEN.parse().unwrap())));
        assert_eq!("CEF75CB5".parse(), Ok(Digits::First("cef75cb5".to_owned())));
        for (text, says) in [
            ("cef75cb", "at least the first 8"),
            ("", "at least the first 8"),
            ("k-1", "64 hexadecimal digits"),
            (&format!("{GOLDEN}0"), "has 65"),
        ] {
            let error = text.parse::<Digits>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_is_found_under_its_golden_slot() {
        let which = WhichArgs {
            slot: None,
            operation: Some("POST /payments".to_owned()),
            scope: Some("user=ana".parse().unwrap()),
            key: Some("8e03978e".parse().unwrap()),
            namespace: None,
            secret_env: Vec::new(),
        };
        let slot = GOLDEN.parse().unwrap();
        assert_eq!(which.digits().unwrap(), Digits::Either(vec![slot]));
    }

    #[test]
    fn a_scope_is_global_or_somebodys() {
        assert_eq!("global".parse::<GivenScope>().unwrap().0, Scope::GLOBAL);
        let equal = "tenant=a=b".parse::<GivenScope>().unwrap().0;
        assert_eq!(equal, Scope::new("tenant", "a=b").unwrap());
        for text in ["user", "user=", "=ana", ""] {
            assert!(text.parse::<GivenScope>().is_err(), "{text}");
        }
    }
}
