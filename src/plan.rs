//! One endpoint's rules, resolved against the runtime: what a request is served by.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use http::HeaderName;
use idem_core::{Operation, Runtime, Settings};

use crate::{
    error::{EndpointError, EndpointProblem},
    handler::{HandlerSpec, KeyRule, Place, Rules, ScopeRule},
    policy::{Profile, RecordRule},
    scope::Resolver,
};

/// How one endpoint is served. Nothing in it is left open.
pub(crate) struct Plan {
    pub(crate) key: KeyPlan,
    pub(crate) key_optional: bool,
    pub(crate) scope: ScopePlan,
    /// `None`: the request's method and route.
    pub(crate) operation: Option<Operation>,
    /// The method and route that were asked for first, which are nearly always the only ones.
    pub(crate) first_route: OnceLock<Operation>,
    pub(crate) settings: Settings,
    pub(crate) record: RecordRule,
    pub(crate) profile: Profile,
    pub(crate) max_response: usize,
    /// How often a transaction that gave way to another runs again.
    pub(crate) retries: u32,
}

impl Plan {
    /// The operation of a request to this route.
    pub(crate) fn operation(&self, method: &str, template: &str) -> Operation {
        if let Some(operation) = &self.operation {
            return operation.clone();
        }
        let first = || Operation::route(method, template);
        let route = self.first_route.get_or_init(first);
        if route.is_route(method, template) {
            route.clone()
        } else {
            Operation::route(method, template)
        }
    }
}

pub(crate) enum KeyPlan {
    Header(HeaderName),
    Expression,
}

pub(crate) enum ScopePlan {
    Resolver(&'static str, Arc<Resolver>),
    Global,
    Expression,
}

/// What rules are resolved against.
pub(crate) struct Ground {
    pub(crate) runtime: Runtime,
    pub(crate) scopes: HashMap<String, Arc<Resolver>>,
    pub(crate) record: RecordRule,
    pub(crate) profile: Profile,
    pub(crate) max_response: usize,
}

impl Ground {
    /// Resolves all handlers, or says everything that is wrong with them.
    pub(crate) fn plans(
        &self,
        handlers: impl Iterator<Item = &'static HandlerSpec>,
    ) -> Result<HashMap<u64, Arc<Plan>>, Vec<EndpointError>> {
        let mut seen: HashMap<u64, &'static HandlerSpec> = HashMap::new();
        let mut plans = HashMap::new();
        let mut errors = Vec::new();
        for handler in handlers {
            if let Some(other) = seen.insert(handler.id, handler) {
                // The same text expanded twice (by a macro of the user's) says the same.
                if other.place.name != handler.place.name {
                    let other = other.place.name.to_owned();
                    errors.push(EndpointError::new(
                        &handler.place,
                        EndpointProblem::Indistinct { other },
                    ));
                }
                continue;
            }
            match self.plan(&handler.place, handler.rules) {
                Ok(plan) => {
                    plans.insert(handler.id, Arc::new(plan));
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(plans)
        } else {
            errors.sort_by(|a, b| (a.file, a.line).cmp(&(b.file, b.line)));
            Err(errors)
        }
    }

    pub(crate) fn plan(&self, place: &Place, rules: Rules) -> Result<Plan, EndpointError> {
        self.try_plan(rules)
            .map_err(|problem| EndpointError::new(place, problem))
    }

    fn try_plan(&self, rules: Rules) -> Result<Plan, EndpointProblem> {
        if let Some(transaction) = rules.transaction {
            let (wants, store) = (transaction.name, self.runtime.store_name());
            let Some(transactions) = self.runtime.transactions() else {
                return Err(EndpointProblem::NoTransactions { wants, store });
            };
            if !(transaction.fits)(transactions) {
                return Err(EndpointProblem::OtherDatabase { wants, store });
            }
            if let (true, Some(reason)) = (rules.steps, transactions.refuse_steps()) {
                return Err(EndpointProblem::StepsInTransaction {
                    wants,
                    store,
                    reason,
                });
            }
        }
        Ok(Plan {
            key: match rules.key {
                KeyRule::Expression => KeyPlan::Expression,
                KeyRule::Header(name) => KeyPlan::Header(
                    HeaderName::try_from(name)
                        .map_err(|_| EndpointProblem::HeaderName { name: name.into() })?,
                ),
            },
            key_optional: rules.key_optional,
            scope: match rules.scope {
                ScopeRule::Global => ScopePlan::Global,
                ScopeRule::Expression => ScopePlan::Expression,
                ScopeRule::Named(name) => match self.scopes.get(name) {
                    Some(resolver) => ScopePlan::Resolver(name, Arc::clone(resolver)),
                    None => return Err(self.unknown_scope(name)),
                },
            },
            operation: rules.operation.map(Operation::new),
            first_route: OnceLock::new(),
            settings: self.runtime.settings_for(&rules.overrides)?,
            record: rules.record.unwrap_or(self.record),
            profile: rules.profile.unwrap_or(self.profile),
            max_response: rules.max_response.unwrap_or(self.max_response),
            retries: rules.retries,
        })
    }

    fn unknown_scope(&self, scope: &str) -> EndpointProblem {
        let mut known: Vec<String> = self.scopes.keys().cloned().collect();
        known.sort();
        EndpointProblem::UnknownScope {
            scope: scope.to_owned(),
            known,
        }
    }
}
