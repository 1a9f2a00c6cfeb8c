//! The attribute's arguments.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::{
    Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
    spanned::Spanned,
};

use super::{
    duration::{self, Bounds},
    size,
};
use crate::{
    errors::Errors,
    suggest::{closest, did_you_mean},
};

/// Every argument there is.
pub(crate) const NAMES: [&str; 15] = [
    "ttl",
    "scope",
    "key",
    "header",
    "fingerprint",
    "grace",
    "lease",
    "wait",
    "on_crash",
    "record",
    "profile",
    "operation",
    "max_response",
    "store_error",
    "crate",
];

/// Arguments with a fixed set of values: each value, and the method of
/// `HandlerSpec` that says it.
const CHOICES: [(&str, &[(&str, &str)]); 4] = [
    (
        "on_crash",
        &[
            ("takeover", "on_crash_takeover"),
            ("refuse", "on_crash_refuse"),
        ],
    ),
    (
        "record",
        &[
            ("default", "record_default"),
            ("all", "record_all"),
            ("success", "record_success"),
        ],
    ),
    (
        "profile",
        &[("conflict", "profile_conflict"), ("ietf", "profile_ietf")],
    ),
    (
        "store_error",
        &[("fail_closed", "fail_closed"), ("fail_open", "fail_open")],
    ),
];

/// What the arguments say. What they do not say is `None`.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) ttl: Option<(Duration, Expr)>,
    pub(crate) scope: Option<Scope>,
    pub(crate) key: Option<Key>,
    pub(crate) header: Option<LitStr>,
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) grace: Option<Duration>,
    pub(crate) lease: Option<(Duration, Expr)>,
    pub(crate) wait: Option<Duration>,
    /// Methods of `HandlerSpec` without arguments.
    pub(crate) choices: Vec<&'static str>,
    pub(crate) operation: Option<LitStr>,
    pub(crate) max_response: Option<usize>,
    pub(crate) krate: Option<Path>,
    /// The names that were written, right or wrong.
    written: Vec<String>,
}

pub(crate) enum Scope {
    Named(LitStr),
    Global,
    Expression(Expr),
}

pub(crate) enum Key {
    Required,
    Optional,
    Expression(Expr),
}

pub(crate) enum Fingerprint {
    Raw,
    Expression(Expr),
}

impl Args {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        match Punctuated::<Raw, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(list) => {
                for raw in list {
                    if let Err(error) = args.take(raw) {
                        errors.push(error);
                    }
                }
            }
            Err(error) => errors.push(error),
        }
        args
    }

    /// Whether the argument was written, be its value right or wrong.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.written.iter().any(|written| written == name)
    }

    fn take(&mut self, Raw { name, value }: Raw) -> Result<(), Error> {
        let text = name.unraw().to_string();
        if !NAMES.contains(&text.as_str()) {
            let meant = closest(&text, NAMES);
            // What was meant is not missing as well.
            self.written.extend(meant.map(str::to_owned));
            return Err(unknown(&name, &text, meant));
        }
        let Some(value) = value else {
            return Err(Error::new(
                name.span(),
                format!("`{text}` needs a value: `{text} = …`"),
            ));
        };
        if self.says(&text) {
            return Err(Error::new(
                name.span(),
                format!("`{text}` is given twice; keep one, so that it is clear which holds"),
            ));
        }
        self.written.push(text.clone());
        match text.as_str() {
            "ttl" => self.ttl = Some((duration::parse("ttl", &value, &duration::TTL)?, value)),
            "lease" => {
                self.lease = Some((duration::parse("lease", &value, &duration::LEASE)?, value));
            }
            "grace" => self.grace = Some(bounded("grace", &value, &duration::GRACE)?),
            "wait" => self.wait = Some(bounded("wait", &value, &duration::WAIT)?),
            "scope" => self.scope = Some(scope(value)?),
            "key" => self.key = Some(key(value)?),
            "header" => self.header = Some(header(&value)?),
            "fingerprint" => self.fingerprint = Some(fingerprint(value)?),
            "operation" => self.operation = Some(operation(&value)?),
            "max_response" => self.max_response = Some(size::parse(&value)?),
            "crate" => self.krate = Some(krate(&value)?),
            name => self.choices.extend(choice(name, &value)?),
        }
        Ok(())
    }
}

/// `name = value`, or a name alone.
struct Raw {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Raw {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any).map_err(|error| {
            Error::new(
                error.span(),
                "expected an argument such as `ttl = \"24h\"` or `scope = \"user\"`",
            )
        })?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self { name, value })
    }
}

fn unknown(name: &Ident, text: &str, meant: Option<&str>) -> Error {
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are `{}`", NAMES.join("`, `")),
    };
    Error::new(
        name.span(),
        format!("there is no argument `{text}`; {hint}"),
    )
}

fn bounded(name: &str, value: &Expr, bounds: &Bounds) -> Result<Duration, Error> {
    duration::parse(name, value, bounds)
}

fn string(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text),
        _ => None,
    }
}

fn scope(value: Expr) -> Result<Scope, Error> {
    match string(&value).map(|text| (text, text.value())) {
        None => Ok(Scope::Expression(value)),
        Some((_, name)) if name == "global" => Ok(Scope::Global),
        Some((text, name)) if name.trim().is_empty() => Err(Error::new(
            text.span(),
            "a scope needs a name: the one of a resolver (\"user\"), \"global\", or an expression over the arguments",
        )),
        Some((text, _)) => Ok(Scope::Named(text.clone())),
    }
}

fn key(value: Expr) -> Result<Key, Error> {
    match string(&value).map(|text| (text, text.value())) {
        None => Ok(Key::Expression(value)),
        Some((_, text)) if text == "required" => Ok(Key::Required),
        Some((_, text)) if text == "optional" => Ok(Key::Optional),
        Some((at, text)) => Err(Error::new(
            at.span(),
            format!(
                "`key` is \"required\", \"optional\", or an expression over the arguments{}; \
                 another header is named by `header = \"{text}\"`",
                did_you_mean(&text, ["required", "optional"])
            ),
        )),
    }
}

fn header(value: &Expr) -> Result<LitStr, Error> {
    const ALLOWED: &[u8] = b"!#$%&'*+-.^_`|~";
    match string(value) {
        // A field name is a token, RFC 9110 §5.1.
        Some(text)
            if !text.value().is_empty()
                && text
                    .value()
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || ALLOWED.contains(&byte)) =>
        {
            Ok(text.clone())
        }
        _ => Err(Error::new_spanned(
            value,
            "`header` takes a header's name in quotes: \"X-Request-Id\"",
        )),
    }
}

fn fingerprint(value: Expr) -> Result<Fingerprint, Error> {
    match string(&value) {
        None => Ok(Fingerprint::Expression(value)),
        Some(text) if text.value() == "raw" => Ok(Fingerprint::Raw),
        Some(text) => Err(Error::new(
            text.span(),
            "`fingerprint` is \"raw\" (the body's bytes) or an expression over the arguments, \
             such as `(&req.amount, &req.currency)`; a constant would make every payload the same",
        )),
    }
}

fn operation(value: &Expr) -> Result<LitStr, Error> {
    match string(value) {
        Some(text)
            if (1..=255).contains(&text.value().len())
                && text.value().bytes().all(|byte| matches!(byte, 0x20..=0x7e)) =>
        {
            Ok(text.clone())
        }
        _ => Err(Error::new_spanned(
            value,
            "`operation` takes a name in quotes, of 1 to 255 printable ASCII characters: \"create-payment\"",
        )),
    }
}

fn krate(value: &Expr) -> Result<Path, Error> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path.clone()),
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text.parse(),
        other => Err(Error::new(
            other.span(),
            "`crate` takes the path of the facade: `crate = ::my_idem`",
        )),
    }
}

fn choice(name: &str, value: &Expr) -> Result<Option<&'static str>, Error> {
    let Some((_, choices)) = CHOICES.iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let written = string(value).map(LitStr::value);
    let chosen = choices
        .iter()
        .find(|(choice, _)| written.as_deref() == Some(choice));
    match chosen {
        Some((_, method)) => Ok(Some(method)),
        None => {
            let known: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            let suggestion = did_you_mean(
                written.as_deref().unwrap_or_default(),
                known.iter().copied(),
            );
            Err(Error::new_spanned(
                value,
                format!(
                    "`{name}` is one of \"{}\"{suggestion}",
                    known.join("\", \"")
                ),
            ))
        }
    }
}
