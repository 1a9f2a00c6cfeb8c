//! Where the store is, and what may be printed of that.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use sqlx::sqlite::SqliteConnectOptions;

use super::OperateError;

/// An address as it was given. There may be a password in it, so that it is not read while the command
/// line is: an error there would print it.
#[derive(Clone)]
pub(crate) struct StoreUrl(String);

impl FromStr for StoreUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

/// An address by its kind.
#[derive(Clone)]
pub(crate) enum Address {
    Postgres(String),
    Sqlite { url: String, file: PathBuf },
    Redis(String),
}

impl StoreUrl {
    /// # Errors
    /// It names no store that other processes can open.
    pub(crate) fn read(&self) -> Result<Address, OperateError> {
        let url = self.0.trim();
        let scheme = url.split(':').next().unwrap_or_default();
        match scheme {
            "memory" => Err(OperateError::Memory),
            "postgres" | "postgresql" => Ok(Address::Postgres(url.to_owned())),
            "sqlite" => sqlite(url),
            _ if ["redis", "valkey"]
                .iter()
                .any(|name| scheme.starts_with(name)) =>
            {
                Ok(Address::Redis(url.to_owned()))
            }
            _ => Err(OperateError::Address {
                url: without_password(url),
            }),
        }
    }
}

fn sqlite(url: &str) -> Result<Address, OperateError> {
    let (name, parameters) = url.split_once('?').unwrap_or((url, ""));
    if name.ends_with(":memory:") || parameters.contains("mode=memory") {
        return Err(OperateError::Memory);
    }
    let options: SqliteConnectOptions = url.parse().map_err(|error| OperateError::Open {
        store: url.to_owned(),
        cause: Box::<sqlx::Error>::new(error),
    })?;
    Ok(Address::Sqlite {
        url: url.to_owned(),
        file: options.get_filename().to_owned(),
    })
}

/// As it may be printed.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) | Self::Redis(url) => f.write_str(&without_password(url)),
            Self::Sqlite { file, .. } => write!(f, "sqlite:{}", file.display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Neither what stands before the last `@`, nor parameters, among which there may be a password too.
fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let (hidden, rest) = match rest.rfind('@') {
        Some(at) => ("…", &rest[at..]),
        None => ("", rest),
    };
    let rest = rest.split('?').next().unwrap_or_default();
    format!("{scheme}{hidden}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, OperateError> {
        url.parse::<StoreUrl>().unwrap().read()
    }

    #[test]
    fn every_form_is_told_apart() {
        for url in ["postgres://h/d", "postgresql://h/d"] {
            assert!(matches!(read(url), Ok(Address::Postgres(_))), "{url}");
        }
        for url in [
            "redis://h",
            "rediss://h",
            "redis-cluster://a,b",
            "redis-sentinel://a,b/m",
            "redis+unix:///s",
            "valkey://h",
        ] {
            assert!(matches!(read(url), Ok(Address::Redis(_))), "{url}");
        }
        for url in ["sqlite:a.db", "sqlite://a.db", "sqlite:a.db?mode=rw"] {
            let Ok(Address::Sqlite { file, .. }) = read(url) else {
                panic!("{url}");
            };
            assert_eq!(file, PathBuf::from("a.db"));
        }
        for url in ["memory", "sqlite::memory:", "sqlite:a?mode=memory"] {
            assert!(matches!(read(url), Err(OperateError::Memory)), "{url}");
        }
        for url in ["", "a.db", "mysql://h", "http://h"] {
            assert!(
                matches!(read(url), Err(OperateError::Address { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://ana:hunter2@db:5432/shop",
            "postgres://ana:hun@hunter2@db/shop",
            "postgres://ana:x?hunter2@db/shop",
            "postgres://db/shop?user=ana&password=hunter2",
            "redis://:hunter2@a,b/0",
            "mysql://ana:hunter2@db",
            "ana:hunter2@db",
        ] {
            let given: StoreUrl = url.parse().unwrap();
            let shown = match given.read() {
                Ok(address) => format!("{given:?} {address} {address:?}"),
                Err(error) => format!("{given:?} {error} {error:?}"),
            };
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("db") || shown.contains("a,b"), "{shown}");
        }
    }
}
