//! The guard: what may be hammered, and the only addresses that are ever connected to.
//!
//! A host is resolved once. All of its addresses must be this machine's own (or the user says that the
//! service is theirs), and connections go to those very addresses: what the name resolves to later
//! changes nothing.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderValue, uri::PathAndQuery};
use tokio::net::lookup_host;
use url::{Host, Url};

use super::error::HammerError;

/// A URL that has passed the guard.
#[derive(Debug)]
pub(crate) struct Target {
    /// As it was given, for people.
    pub(crate) url: String,
    /// For TLS: a name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) is_tls: bool,
    /// What the `Host` header says.
    pub(crate) authority: HeaderValue,
    pub(crate) path: PathAndQuery,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Target {
    /// Resolves and checks; sends nothing.
    pub(crate) async fn resolve(url: &Url, is_owned: bool) -> Result<Self, HammerError> {
        let bad = |reason| HammerError::Url {
            // A password in it is not for the terminal.
            url: url.host_str().unwrap_or(url.scheme()).to_owned(),
            reason,
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it has to begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "give credentials as -H 'Authorization: …', not in the URL",
            ));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(bad("it names no host"));
        };
        let (name, addresses) = match host {
            Host::Ipv4(address) => (address.to_string(), vec![(address, port).into()]),
            Host::Ipv6(address) => (address.to_string(), vec![(address, port).into()]),
            Host::Domain(name) => (name.to_owned(), lookup(name, port).await?),
        };
        check(&name, &addresses, is_owned)?;
        let authority = match (host.to_string(), url.port()) {
            (host, None) => host,
            (host, Some(port)) => format!("{host}:{port}"),
        };
        let path = match url.query() {
            None => url.path().to_owned(),
            Some(query) => format!("{}?{query}", url.path()),
        };
        Ok(Self {
            url: url.to_string(),
            host: name,
            is_tls: url.scheme() == "https",
            authority: HeaderValue::try_from(authority)
                .map_err(|_| bad("its host cannot stand in a header"))?,
            path: PathAndQuery::try_from(path).map_err(|_| bad("its path cannot be sent"))?,
            addresses,
        })
    }
}

async fn lookup(name: &str, port: u16) -> Result<Vec<SocketAddr>, HammerError> {
    let found = lookup_host((name, port)).await;
    let found = found.map_err(|cause| HammerError::Resolve {
        host: name.to_owned(),
        cause,
    })?;
    Ok(found.collect())
}

/// One address elsewhere is enough to refuse: nobody knows which one a name means next.
fn check(host: &str, addresses: &[SocketAddr], is_owned: bool) -> Result<(), HammerError> {
    if addresses.is_empty() {
        let host = host.to_owned();
        return Err(HammerError::NoAddress { host });
    }
    let elsewhere = addresses
        .iter()
        .map(SocketAddr::ip)
        .find(|ip| !is_loopback(*ip));
    match elsewhere {
        Some(address) if !is_owned => Err(HammerError::NotLoopback {
            host: host.to_owned(),
            address,
        }),
        _ => Ok(()),
    }
}

/// `::ffff:127.0.0.1` is 127.0.0.1. The unspecified address `0.0.0.0` is not taken for this machine.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(of: &[&str]) -> Vec<SocketAddr> {
        of.iter()
            .map(|ip| (ip.parse::<IpAddr>().unwrap(), 80).into())
            .collect()
    }

    #[test]
    fn this_machine_passes() {
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            check("h", &addresses(&[own]), false).unwrap();
        }
    }

    #[test]
    fn any_other_machine_is_refused() {
        for other in [
            "192.0.2.1",
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            let refused = check("h", &addresses(&[other]), false);
            assert!(
                matches!(refused, Err(HammerError::NotLoopback { .. })),
                "{other}"
            );
            check("h", &addresses(&[other]), true).unwrap();
        }
    }

    #[test]
    fn one_address_elsewhere_is_enough() {
        let mixed = addresses(&["127.0.0.1", "192.0.2.1"]);
        let refused = check("rebinds.example", &mixed, false).unwrap_err();
        assert!(refused.to_string().contains("192.0.2.1"), "{refused}");
    }

    #[test]
    fn a_host_without_an_address_is_refused() {
        assert!(matches!(
            check("h", &[], true),
            Err(HammerError::NoAddress { .. })
        ));
    }

    #[tokio::test]
    async fn spellings_of_an_address_are_read_before_they_are_judged() {
        let url = |text: &str| Url::parse(text).unwrap();
        let target = Target::resolve(&url("http://0x7f.1:81/a?b=c"), false)
            .await
            .unwrap();
        assert_eq!(
            target.addresses,
            [(IpAddr::from([127, 0, 0, 1]), 81).into()]
        );
        assert_eq!(target.path, "/a?b=c");
        assert_eq!(target.authority, "127.0.0.1:81");
        for refused in [
            "http://3221225985/",
            "ftp://127.0.0.1/",
            "http://a:b@127.0.0.1/",
        ] {
            Target::resolve(&url(refused), false).await.unwrap_err();
        }
    }
}
