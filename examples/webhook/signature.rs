//! What a sender and a receiver of Standard Webhooks agree upon: `v1` is the HMAC-SHA256, under their
//! secret, of `ID.TIMESTAMP.BODY`.

use std::time::SystemTime;

use axum::http::HeaderMap;
use base64::{DecodeError, Engine, prelude::BASE64_STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac, digest::InvalidLength};

/// How far the sender's clock and a slow network may be away from now: five minutes.
const TOLERANCE: u64 = 5 * 60;

/// The HMAC under the secret, with nothing fed to it yet.
#[derive(Clone)]
pub(crate) struct Secret(Hmac<sha2::Sha256>);

/// Why a text is no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("a secret starts with `whsec_`")]
    Prefix,
    #[error("what follows `whsec_` is not base64: {0}")]
    Base64(#[from] DecodeError),
    #[error(transparent)]
    Length(#[from] InvalidLength),
}

/// Why a delivery is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproven {
    #[error("the header `{0}` is missing or malformed")]
    Header(&'static str),
    #[error("the timestamp is more than five minutes away from now")]
    Stale,
    #[error("no signature fits")]
    Forged,
}

impl Secret {
    /// Reads `whsec_BASE64`.
    pub(crate) fn parse(text: &str) -> Result<Self, SecretError> {
        let key = text.strip_prefix("whsec_").ok_or(SecretError::Prefix)?;
        Ok(Self(Hmac::new_from_slice(&BASE64.decode(key)?)?))
    }

    /// The id of an event that the holder of the secret has sent a short time ago. One signature of
    /// several is enough: a sender that changes its secret signs with the old and the new one.
    pub(crate) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<String, Unproven> {
        let header = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.ok_or(Unproven::Header(name))
        };
        let id = header("webhook-id")?;
        let timestamp = header("webhook-timestamp")?
            .parse()
            .map_err(|_| Unproven::Header("webhook-timestamp"))?;
        let signatures = header("webhook-signature")?;
        if now().abs_diff(timestamp) > TOLERANCE {
            return Err(Unproven::Stale);
        }
        let mac = self.mac(id, timestamp, body);
        signatures
            .split(' ')
            .filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?).ok())
            // It compares in constant time.
            .find(|signature| mac.clone().verify_slice(signature).is_ok())
            .map(|_| id.to_owned())
            .ok_or(Unproven::Forged)
    }

    /// What a sender puts into `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mac = self.mac(id, timestamp, body).finalize();
        format!("v1,{}", BASE64.encode(mac.into_bytes()))
    }

    fn mac(&self, id: &str, timestamp: u64, body: &[u8]) -> Hmac<sha2::Sha256> {
        let mac = self.0.clone().chain_update(format!("{id}.{timestamp}."));
        mac.chain_update(body)
    }
}

/// In seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
