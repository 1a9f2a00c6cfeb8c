//! `"24h"`, `"7d"`, `"1h30m"`.

use std::time::Duration;

use quote::ToTokens;
use syn::{Error, Expr, Lit};

use super::literal::literal;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a duration may be, and why not less or more.
pub(crate) struct Bounds {
    least: (Duration, &'static str),
    most: (Duration, &'static str),
}

pub(crate) const TTL: Bounds = Bounds {
    least: (
        SECOND,
        "a ttl under 1s is over before a client retries; use \"24h\"",
    ),
    most: (
        DAY.saturating_mul(400),
        "a ttl over 400d keeps keys longer than any client retries; use \"7d\" or \"90d\"",
    ),
};

pub(crate) const GRACE: Bounds = Bounds {
    least: (Duration::ZERO, ""),
    most: (
        DAY.saturating_mul(400),
        "a grace over 400d keeps keys longer than any client retries; use \"7d\"",
    ),
};

pub(crate) const LEASE: Bounds = Bounds {
    least: (
        Duration::from_millis(10),
        "a lease under 10ms lapses before it can be renewed, and the handler would run twice; use \"30s\"",
    ),
    most: (
        DAY,
        "a lease over 1d blocks every retry for that long after a crash; it is renewed while the handler runs, so \"30s\" is enough",
    ),
};

pub(crate) const WAIT: Bounds = Bounds {
    least: (Duration::ZERO, ""),
    most: (
        Duration::from_secs(5 * 60),
        "a wait over 5m outlives most clients' timeouts; use \"5s\", and let the client retry",
    ),
};

pub(crate) fn parse(name: &str, value: &Expr, bounds: &Bounds) -> Result<Duration, Error> {
    let text = match literal(value) {
        Some(Lit::Str(text)) => text.value(),
        _ => {
            // `24h` is a token too: what is missing are the quotes.
            let bare = value.to_token_stream().to_string();
            let instead = match humantime::parse_duration(&bare) {
                Ok(_) => format!("`{name} = \"{bare}\"`"),
                Err(_) => "\"24h\", \"1h30m\", \"30s\"".to_owned(),
            };
            return Err(Error::new_spanned(
                value,
                format!("`{name}` takes a duration in quotes, with a unit: {instead}"),
            ));
        }
    };
    let duration = humantime::parse_duration(&text).map_err(|error| {
        Error::new_spanned(
            value,
            format!(
                "this is not a duration ({error}); write \"24h\", \"7d\", \"1h30m\" or \"500ms\""
            ),
        )
    })?;
    let refused = |reason| Err(Error::new_spanned(value, reason));
    if duration < bounds.least.0 {
        return refused(bounds.least.1);
    }
    if duration > bounds.most.0 {
        return refused(bounds.most.1);
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ttl(text: &str) -> Result<Duration, String> {
        let value: Expr = syn::parse_str(text).unwrap();
        parse("ttl", &value, &TTL).map_err(|error| error.to_string())
    }

    #[test]
    fn durations_of_every_unit_are_read() {
        assert_eq!(ttl("\"24h\""), Ok(DAY));
        assert_eq!(ttl("\"7d\""), Ok(7 * DAY));
        assert_eq!(ttl("\"1h30m\""), Ok(Duration::from_secs(5400)));
        assert_eq!(ttl("\"1500ms\""), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_no_duration_says_how_to_write_one() {
        for bad in ["24", "\"24\"", "\"\"", "\"soon\"", "\"-1h\"", "true"] {
            assert!(ttl(bad).unwrap_err().contains("\"24h\""), "{bad}");
        }
    }

    #[test]
    fn the_bounds_hold() {
        assert!(ttl("\"1s\"").is_ok());
        assert!(ttl("\"999ms\"").is_err());
        assert!(ttl("\"400d\"").is_ok());
        assert!(ttl("\"401d\"").is_err());
    }
}
