//! A reply is one of those that a script gives, or an error.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Alias, Claim, ClaimRequest, Fingerprint, OnCrash, OwnerId, Resolved, Retention, Slot,
    StoreError, Under, Written,
};
use redis::{IntoConnectionInfo, Value};

use crate::{
    commands::{self, Reply},
    connect::{
        Acknowledged, Address, Dialer, Master, Reconnect, Settings, Topology, describes_a_cluster,
    },
    layout::{Stored, number, steps},
    list, reply,
};

/// `data` is what comes over the wire.
pub fn reply(data: &[u8]) {
    let Ok(value) = redis::parse_redis_value(data) else {
        return;
    };
    claims(&value, None);
    claims(
        &value,
        Some(Alias {
            slot: Slot::from_bytes([8; 32]),
            fingerprint: Fingerprint::from_bytes([8; 32]),
        }),
    );
    writes(&value);
    views(&value);
    let master = || Arc::clone(&MASTER);
    let _ = list::read::<(String, Vec<Vec<u8>>)>(&master(), Some(value.clone()));
    let _ = list::read::<i64>(&master(), Some(value.clone()));
    let _ = list::read::<Vec<u8>>(&master(), Some(value.clone()));
    describes_a_cluster(&value);
}

const SLOT: Slot = Slot::from_bytes([7; 32]);

/// Nothing connects to it: replies name the server that they come from.
static MASTER: LazyLock<Arc<Master>> = LazyLock::new(|| {
    let info = "redis://127.0.0.1:1".into_connection_info().unwrap();
    let dialer = Dialer {
        timeout: Duration::from_secs(1),
        #[cfg(feature = "tls")]
        certificates: None,
    };
    let settings = Settings {
        connections: 1,
        reconnect: Reconnect {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(1),
        },
        replicas: None,
    };
    match Topology::new(Address::Single(info), dialer, settings) {
        Topology::One(master) => master,
        Topology::Cluster(_) => unreachable!("one server is no cluster"),
    }
});

fn given<T>(
    value: &Value,
    read: impl FnOnce(Slot, Reply) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let master = Arc::clone(&MASTER);
    let reply = commands::reply(master, value.clone(), Acknowledged::enough())?;
    read(SLOT, reply)
}

/// The words of an array of them.
fn words(value: &Value) -> Option<Vec<&[u8]>> {
    let Value::Array(words) = value else {
        return None;
    };
    let mut read = Vec::with_capacity(words.len());
    for word in words {
        let Value::BulkString(word) = word else {
            return None;
        };
        read.push(&word[..]);
    }
    Some(read)
}

fn digits(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok().and_then(number)
}

/// Nothing but a script's own words wins a claim or answers one.
fn claims(value: &Value, alias: Option<Alias>) {
    let second = Duration::from_secs(1);
    let request = ClaimRequest {
        slot: SLOT,
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::from_bytes([7; 16]),
        lease: second,
        retention: Retention {
            ttl: second,
            grace: second,
        },
        on_crash: OnCrash::TakeOver,
        alias,
    };
    let Ok(claim) = given(value, |_, reply| reply::claim(&request, reply)) else {
        return;
    };
    let words = words(value);
    let mut words = words.as_deref();
    // Only a claim by two names may be answered under the other one.
    let mut found = Under::Slot;
    if let (Some([b"alias", rest @ ..]), Some(_)) = (words, alias) {
        (words, found) = (Some(rest), Under::Alias);
    }
    match claim {
        Claim::Claimed(claimed) if *value == Value::Int(1) => {
            assert_eq!((claimed.fence.get(), claimed.attempt), (1, 1));
            assert_eq!(claimed.under, Under::Slot);
            assert!(claimed.checkpoints.is_empty() && !claimed.taken_over);
        }
        Claim::Claimed(claimed) => {
            let Some([b"claimed", fence, attempt, taken, body]) = words else {
                panic!("a claim was won by {value:?}");
            };
            assert_eq!(claimed.under, found);
            assert_eq!(digits(fence), Some(claimed.fence.get()));
            assert!(digits(attempt).is_some_and(|attempt| attempt > 0));
            assert!(claimed.fence.get() > 0 && claimed.attempt > 0);
            assert_eq!(*taken, if claimed.taken_over { b"t" } else { b"-" });
            let body = Bytes::copy_from_slice(body);
            let names = steps(&body).unwrap().into_iter().map(|(name, _)| name);
            assert!(names.eq(claimed.checkpoints.into_iter().map(|step| step.name)));
        }
        Claim::Completed(completed) => {
            let Some([b"completed", expiry, stored]) = words else {
                panic!("a claim was answered by {value:?}");
            };
            let expiry = std::str::from_utf8(expiry).unwrap().parse().unwrap();
            let stored = Stored::read(&Bytes::copy_from_slice(stored), expiry).unwrap();
            let mut expected = stored.completed().unwrap();
            expected.under = found;
            assert_eq!(completed, expected);
        }
        Claim::InFlight { lease_left } => {
            let Some([b"in-flight", left]) = words else {
                panic!("a claim has to wait for {value:?}");
            };
            assert_eq!(digits(left).map(Duration::from_millis), Some(lease_left));
        }
        Claim::Mismatch => assert_eq!(words, Some(&[&b"mismatch"[..]][..])),
        Claim::Unknown => assert_eq!(words, Some(&[&b"unknown"[..]][..])),
    }
}

/// Nothing but a bare one is a write that was done.
fn writes(value: &Value) {
    let words = words(value);
    let words = words.as_deref();
    match given(value, reply::written) {
        Ok(Written::Done) => assert_eq!(*value, Value::Int(1)),
        Ok(Written::Fenced) => assert_eq!(words, Some(&[&b"fenced"[..]][..])),
        Err(_) => {}
    }
    match given(value, reply::resolved) {
        Ok(Resolved::Done) => assert_eq!(*value, Value::Int(1)),
        Ok(Resolved::Moved) => assert_eq!(words, Some(&[&b"moved"[..]][..])),
        Ok(Resolved::StillOwned { .. }) => assert!(matches!(words, Some([b"owned", _]))),
        Err(_) => {}
    }
}

fn views(value: &Value) {
    let words = words(value);
    let words = words.as_deref();
    match given(value, reply::view) {
        Ok(None) => assert_eq!(words, Some(&[&b"absent"[..]][..])),
        Ok(Some(view)) => {
            assert_eq!(view.slot, SLOT);
            assert!(matches!(words, Some([b"present", _, _])));
        }
        Err(_) => {}
    }
}
