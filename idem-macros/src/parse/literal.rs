//! A literal, wherever it comes from.

use syn::{Expr, ExprGroup, ExprLit, ExprParen, Lit};

/// The literal that an expression is. One that a `macro_rules!` hands on
/// (`$ttl:literal`) comes in a group without delimiters.
pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(ExprGroup { expr, .. }) | Expr::Paren(ExprParen { expr, .. }) => literal(expr),
        _ => None,
    }
}
