//! Answers of a length.

use bytes::Bytes;
use idem_core::record::{BodyRef, Record};
use rand::{
    RngExt,
    distr::{Alphanumeric, SampleString},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Random,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Json => "a list of payments as JSON",
            Self::Random => "random bytes",
        }
    }

    /// The record of an answer with so long a body; another one each time.
    pub(super) fn record(self, bytes: usize) -> Bytes {
        let body = match self {
            Self::Json => json(bytes),
            Self::Random => (0..bytes).map(|_| rand::random()).collect(),
        };
        let id = random(22);
        let headers = |field: &mut dyn FnMut(&[u8], &[u8])| {
            field(b"content-type", b"application/json");
            field(b"x-request-id", id.as_bytes());
        };
        Record::encode_response(200, headers, BodyRef::Full(&body))
    }
}

/// Names repeat themselves, and so do some values; ids, amounts and times do not.
fn json(bytes: usize) -> Vec<u8> {
    let mut text = String::from("{\"payments\":[");
    while text.len() < bytes {
        text += &payment();
        text.push(',');
    }
    text.truncate(bytes);
    text.into()
}

fn payment() -> String {
    let mut rng = rand::rng();
    let state = ["captured", "authorized", "refunded"][rng.random_range(0..3)];
    format!(
        "{{\"id\":\"pay_{}\",\"state\":\"{state}\",\"amount\":{{\"cents\":{},\"currency\":\"EUR\"}},\
         \"customer\":{{\"id\":\"cus_{}\",\"email\":\"{}@example.com\"}},\
         \"created_at\":\"2026-11-{:02}T{:02}:{:02}:{:02}Z\",\"description\":null}}",
        random(22),
        rng.random_range(100..100_000),
        random(14),
        random(8).to_lowercase(),
        rng.random_range(1..28),
        rng.random_range(0..24),
        rng.random_range(0..60),
        rng.random_range(0..60),
    )
}

fn random(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}
