//! What an intent is called in the store: its slot and fingerprint, under the
//! runtime's secret and under the one that it accepts beside it.

use std::{fmt, ops::Deref};

use crate::{
    Alias, Call, ClaimRequest, Fingerprint, IdempotencyKey, Operation, OwnerId, Scope, Settings,
    Slot, SlotDeriver, Under,
};

use super::Runtime;

/// A secret, or none.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    None,
    Keyed(Vec<u8>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Keyed(_) => "<hidden>",
        })
    }
}

impl Secret {
    fn deriver(&self, namespace: &str) -> SlotDeriver {
        match self {
            Self::None => SlotDeriver::new(namespace),
            Self::Keyed(secret) => SlotDeriver::keyed(namespace, secret),
        }
    }
}

/// What names are derived with.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) current: SlotDeriver,
    /// Another secret's, as long as the secret is being rotated.
    accepted: Option<SlotDeriver>,
}

impl Names {
    pub(super) fn new(namespace: &str, current: &Secret, accepted: Option<&Secret>) -> Self {
        Self {
            current: current.deriver(namespace),
            accepted: accepted
                .filter(|accepted| *accepted != current)
                .map(|accepted| accepted.deriver(namespace)),
        }
    }

    fn alias(&self, operation: &Operation, scope: &Scope, key: &IdempotencyKey) -> Option<Slot> {
        let accepted = self.accepted.as_ref()?;
        Some(accepted.slot(operation, scope, key))
    }

    /// The call under the names that the store sees: the only place where they are
    /// made, so that no store is given a plain fingerprint under a secret.
    pub(super) fn of(&self, call: Call) -> Named {
        let plain = call.fingerprint;
        let alias = self.accepted.as_ref().zip(call.alias);
        let alias = alias.map(|(accepted, slot)| Alias {
            slot,
            fingerprint: accepted.seal(slot, plain),
        });
        let own = Alias {
            slot: call.slot,
            fingerprint: self.current.seal(call.slot, plain),
        };
        let mut named = Named { call, own, alias };
        named.stands_under(Under::Slot);
        named
    }
}

/// A call under the names that the store sees. Its slot and fingerprint are those
/// that the newest claim was answered under.
#[derive(Debug, Clone)]
pub(super) struct Named {
    call: Call,
    /// What it is called by the runtime's secret.
    own: Alias,
    /// What it is called by the accepted one.
    alias: Option<Alias>,
}

impl Named {
    /// What it is called by the runtime's secret, whatever it is stored under: by this
    /// those in this process find each other.
    pub(super) const fn own(&self) -> Alias {
        self.own
    }

    /// The slot of [`own`](Self::own).
    pub(super) const fn own_slot(&self) -> Slot {
        self.own.slot
    }

    /// Which of its names it stands under.
    pub(super) fn under(&self) -> Under {
        if self.call.slot == self.own.slot {
            Under::Slot
        } else {
            Under::Alias
        }
    }

    /// Where else it may be stored.
    pub(super) const fn alias(&self) -> Option<Slot> {
        match self.alias {
            Some(alias) => Some(alias.slot),
            None => None,
        }
    }

    /// Whether somebody in this process looks for who owns it: a duplicate that waits,
    /// or a call of a scope at its limit.
    pub(super) const fn is_looked_for(&self) -> bool {
        !self.call.settings.wait.is_zero() || self.call.scope.is_some()
    }

    /// From here on it is what the store has under this name: what is written,
    /// renewed, looked for and derived from it is of that slot and fingerprint.
    pub(super) fn stands_under(&mut self, under: Under) {
        let Alias { slot, fingerprint } = match (under, self.alias) {
            (Under::Alias, Some(alias)) => alias,
            _ => self.own,
        };
        self.call.slot = slot;
        self.call.fingerprint = fingerprint;
    }

    /// Where it may be stored, its own name first.
    pub(super) fn names(&self) -> impl Iterator<Item = (Under, Alias)> + use<> {
        let alias = self.alias.map(|alias| (Under::Alias, alias));
        [(Under::Slot, self.own)].into_iter().chain(alias)
    }

    /// A claim by `owner`, under whichever name there is.
    pub(super) const fn claim_request(&self, owner: OwnerId) -> ClaimRequest {
        ClaimRequest {
            slot: self.own.slot,
            fingerprint: self.own.fingerprint,
            owner,
            lease: self.call.settings.lease,
            retention: self.call.settings.retention,
            on_crash: self.call.settings.on_crash,
            alias: self.alias,
        }
    }
}

impl Deref for Named {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.call
    }
}

impl Call {
    /// A call at a slot that is derived elsewhere. It has no other name: where a
    /// runtime may [accept a second secret](crate::RuntimeBuilder::accept_secret),
    /// [`Runtime::call`] is the one to use.
    #[must_use]
    pub const fn at(
        operation: Operation,
        slot: Slot,
        fingerprint: Fingerprint,
        settings: Settings,
    ) -> Self {
        Self {
            operation,
            slot,
            alias: None,
            scope: None,
            fingerprint,
            settings,
        }
    }
}

impl Runtime {
    /// The call of one key of one caller at one operation, in this runtime's
    /// namespace and under its secrets.
    #[must_use]
    pub fn call(
        &self,
        operation: Operation,
        scope: &Scope,
        key: &IdempotencyKey,
        fingerprint: Fingerprint,
        settings: Settings,
    ) -> Call {
        Call {
            slot: self.slot(&operation, scope, key),
            alias: self.alias(&operation, scope, key),
            scope: self.inner.tag(scope),
            operation,
            fingerprint,
            settings,
        }
    }

    /// The slot of one key of one caller at one operation, in this runtime's
    /// namespace, under its secret.
    #[must_use]
    pub fn slot(&self, operation: &Operation, scope: &Scope, key: &IdempotencyKey) -> Slot {
        self.inner.names.current.slot(operation, scope, key)
    }

    /// The slot of the same under the secret that the runtime accepts beside its
    /// own, if it does: an operator looks for a key under both.
    #[must_use]
    pub fn alias(
        &self,
        operation: &Operation,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Option<Slot> {
        self.inner.names.alias(operation, scope, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Overrides, Policy};

    fn names(current: Option<&str>, accepted: Option<Option<&str>>) -> Names {
        let secret = |secret: Option<&str>| match secret {
            None => Secret::None,
            Some(secret) => Secret::Keyed(secret.into()),
        };
        Names::new("n", &secret(current), accepted.map(secret).as_ref())
    }

    fn named(names: &Names) -> Named {
        let (operation, scope) = (Operation::new("pay"), Scope::GLOBAL);
        let key = IdempotencyKey::new("k").unwrap();
        names.of(Call {
            slot: names.current.slot(&operation, &scope, &key),
            alias: names.alias(&operation, &scope, &key),
            scope: None,
            operation,
            fingerprint: Fingerprint::from_bytes([1; 32]),
            settings: Policy::default().resolve(&Overrides::NONE).unwrap(),
        })
    }

    /// Two names, whichever of them is whose.
    fn both(named: &Named) -> [Alias; 2] {
        let mut both = [named.own, named.alias.unwrap()];
        both.sort_by_key(|name| name.slot);
        both
    }

    #[test]
    fn neighbouring_stages_have_the_same_two_names() {
        let secrets = [None, Some("old"), Some("new")];
        for old in secrets {
            for new in secrets.into_iter().filter(|new| *new != old) {
                let before = named(&names(old, Some(new)));
                let after = named(&names(new, Some(old)));
                assert_eq!(both(&before), both(&after));
                assert_eq!(before.own, after.alias.unwrap());
                assert_eq!(before.own, named(&names(old, None)).own);
            }
        }
    }

    #[test]
    fn a_call_stands_under_the_name_that_was_answered_and_is_asked_for_by_both() {
        let mut named = named(&names(Some("new"), Some(Some("old"))));
        let asked = named.claim_request(OwnerId::from_bytes([1; 16]));
        assert_eq!(
            (named.slot, named.fingerprint),
            (asked.slot, asked.fingerprint)
        );
        named.stands_under(Under::Alias);
        let alias = asked.alias.unwrap();
        assert_eq!(
            (named.slot, named.fingerprint),
            (alias.slot, alias.fingerprint)
        );
        assert_eq!(named.claim_request(asked.owner), asked);
        assert_eq!(named.own_slot(), asked.slot);
        named.stands_under(Under::Slot);
        assert_eq!(named.slot, asked.slot);
    }

    #[test]
    fn the_same_secret_once_more_is_no_other_name() {
        for secret in [None, Some("one")] {
            assert_eq!(named(&names(secret, Some(secret))).alias, None);
        }
    }

    #[test]
    fn under_a_secret_the_plain_fingerprint_is_in_no_name() {
        let plain = Fingerprint::from_bytes([1; 32]);
        for name in both(&named(&names(Some("new"), Some(Some("old"))))) {
            assert_ne!(name.fingerprint, plain);
        }
        assert_eq!(named(&names(None, None)).fingerprint, plain);
    }
}
