//! The attribute's arguments.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Error, Expr, Ident, Lit, LitStr, Path, Token, Type,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    parse_quote,
    spanned::Spanned,
};

use super::{
    duration::{self, Bounds},
    literal::literal,
    size,
};
use crate::{
    errors::Errors,
    suggest::{closest, did_you_mean},
};

/// Every argument there is.
pub(crate) const NAMES: [&str; 17] = [
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
    "retries",
    "state",
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
    pub(crate) retries: Option<(u32, Expr)>,
    pub(crate) state: Option<Type>,
    krate: Option<Path>,
    /// Something could not be read, so what seems to be missing may be there.
    pub(crate) unreadable: bool,
    /// The names that were written, right or wrong, and where.
    written: Vec<(String, Ident)>,
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
        match list.parse2(tokens) {
            Ok(list) => {
                for raw in list {
                    if let Err(error) = args.take(raw) {
                        errors.push(error);
                    }
                }
            }
            Err(error) => {
                args.unreadable = true;
                errors.push(error);
            }
        }
        args
    }

    /// The path of the facade.
    pub(crate) fn facade(&self) -> Path {
        self.krate
            .clone()
            .unwrap_or_else(|| parse_quote!(::idem_axum))
    }

    /// Whether the argument was written, be its value right or wrong.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.name_of(name).is_some()
    }

    /// The argument's name as it was written.
    pub(crate) fn name_of(&self, name: &str) -> Option<&Ident> {
        self.written
            .iter()
            .find_map(|(written, at)| (written == name).then_some(at))
    }

    /// The arguments that are expressions over the handler's.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&'static str, &Expr)> {
        let scope = match &self.scope {
            Some(Scope::Expression(expression)) => Some(("scope", expression)),
            _ => None,
        };
        let key = match &self.key {
            Some(Key::Expression(expression)) => Some(("key", expression)),
            _ => None,
        };
        let fingerprint = match &self.fingerprint {
            Some(Fingerprint::Expression(expression)) => Some(("fingerprint", expression)),
            _ => None,
        };
        [scope, key, fingerprint].into_iter().flatten()
    }

    fn take(&mut self, Raw { name, value }: Raw) -> Result<(), Error> {
        let text = name.unraw().to_string();
        if !NAMES.contains(&text.as_str()) {
            let meant = closest(&text, NAMES);
            // What was meant is not missing as well.
            self.written
                .extend(meant.map(|meant| (meant.to_owned(), name.clone())));
            return Err(unknown(&name, &text, meant));
        }
        let Some(value) = value else {
            let error = format!("`{text}` needs a value: `{text} = …`");
            self.written.push((text, name.clone()));
            return Err(Error::new(name.span(), error));
        };
        if self.says(&text) {
            return Err(Error::new(
                name.span(),
                format!("`{text}` is given twice; keep one, so that it is clear which holds"),
            ));
        }
        self.written.push((text.clone(), name));
        let value = match value {
            Value::Type(ty) => {
                self.state = Some(ty);
                return Ok(());
            }
            Value::NoType(error) => return Err(error),
            Value::Expression(value) => value,
        };
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
            "retries" => self.retries = Some((retries(&value)?, value)),
            "crate" => self.krate = Some(krate(&value)?),
            name => self.choices.extend(choice(name, &value)?),
        }
        Ok(())
    }
}

fn list(input: ParseStream<'_>) -> syn::Result<Vec<Raw>> {
    let mut list = Vec::new();
    while !input.is_empty() {
        list.push(input.parse()?);
        if !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
            return Err(input.error("a comma is missing before this argument"));
        }
    }
    Ok(list)
}

/// `name = value`, or a name alone.
struct Raw {
    name: Ident,
    value: Option<Value>,
}

enum Value {
    Expression(Expr),
    /// Of `state`.
    Type(Type),
    NoType(Error),
}

impl Parse for Raw {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any).map_err(|error| {
            Error::new(
                error.span(),
                "expected an argument such as `ttl = \"24h\"` or `scope = \"user\"`",
            )
        })?;
        let value = if input.is_empty() || input.peek(Token![,]) {
            None
        } else if input.parse::<Option<Token![=]>>()?.is_none() {
            return Err(input.error(format!(
                "expected `=`: an argument is written `{name} = value`, with a comma before the next"
            )));
        } else if name == "state" {
            Some(state(input)?)
        } else {
            Some(Value::Expression(input.parse().map_err(|error| {
                Error::new(error.span(), format!("`{name}` needs a value: {error}"))
            })?))
        };
        Ok(Self { name, value })
    }
}

/// A type may look like an expression that it is not: `Arc<App>`.
fn state(input: ParseStream<'_>) -> syn::Result<Value> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Ok(Value::NoType(Error::new(
            text.span(),
            format!(
                "`state` takes a type, without quotes: `state = {}`",
                text.value()
            ),
        )));
    }
    input.parse().map(Value::Type).map_err(|error| {
        Error::new(
            error.span(),
            "`state` takes the type of the router's state: `state = AppState`",
        )
    })
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
    match literal(value) {
        Some(Lit::Str(text)) => Some(text),
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
        Some((at, text)) => {
            let instead = match closest(&text, ["required", "optional"]) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("another header is named by `header = \"{text}\"`"),
            };
            Err(Error::new(
                at.span(),
                format!(
                    "`key` is \"required\", \"optional\", or an expression over the arguments; {instead}"
                ),
            ))
        }
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

fn retries(value: &Expr) -> Result<u32, Error> {
    const MOST: u32 = 100;
    let number = match literal(value) {
        Some(Lit::Int(number)) => number.base10_parse().ok(),
        _ => None,
    };
    number.filter(|number| (1..=MOST).contains(number)).ok_or_else(|| {
        Error::new_spanned(
            value,
            "`retries` is how often a transaction that gave way to another runs again: a number from 1 to 100, \
             `retries = 3`",
        )
    })
}

fn krate(value: &Expr) -> Result<Path, Error> {
    match (value, string(value)) {
        (Expr::Path(path), _) if path.qself.is_none() => Ok(path.path.clone()),
        (_, Some(text)) => text.parse(),
        _ => Err(Error::new(
            value.span(),
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
            // `refuse`, without quotes.
            let written = written.unwrap_or_else(|| value.to_token_stream().to_string());
            let suggestion = did_you_mean(&written, known.iter().copied());
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
