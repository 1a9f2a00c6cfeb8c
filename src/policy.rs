//! The choices that only HTTP has.

use http::StatusCode;

/// Which answers are recorded. What is not recorded is *released*: the same
/// request may run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordRule {
    /// Statuses below 500 other than 401, 403, 407, 408, 425 and 429, which a
    /// refreshed token or a calmer minute may change.
    #[default]
    Default,
    /// Every status, as Stripe's first API version does.
    All,
    /// Only 2xx, as Checkout.com does.
    Success,
}

impl RecordRule {
    pub(crate) fn records(self, status: StatusCode) -> bool {
        match self {
            Self::Default => {
                let status = status.as_u16();
                status < 500 && !matches!(status, 401 | 403 | 407 | 408 | 425 | 429)
            }
            Self::All => true,
            Self::Success => status.is_success(),
        }
    }
}

/// Which status says that a key was reused for another payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// 409 Conflict.
    #[default]
    Conflict,
    /// 422 Unprocessable Content, as draft-ietf-httpapi-idempotency-key-header says.
    Ietf,
}

impl Profile {
    pub(crate) const fn key_reused(self) -> StatusCode {
        match self {
            Self::Conflict => StatusCode::CONFLICT,
            Self::Ietf => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(rule: RecordRule) -> Vec<u16> {
        (100..600)
            .filter(|status| rule.records(StatusCode::from_u16(*status).unwrap()))
            .collect()
    }

    #[test]
    fn by_default_errors_that_may_pass_are_not_recorded() {
        let expected: Vec<u16> = (100..500)
            .filter(|status| ![401, 403, 407, 408, 425, 429].contains(status))
            .collect();
        assert_eq!(recorded(RecordRule::Default), expected);
    }

    #[test]
    fn the_other_rules_record_all_or_success_only() {
        assert_eq!(recorded(RecordRule::All), (100..600).collect::<Vec<_>>());
        assert_eq!(
            recorded(RecordRule::Success),
            (200..300).collect::<Vec<_>>()
        );
    }
}
