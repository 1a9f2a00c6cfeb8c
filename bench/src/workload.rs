//! What is sent, and which answers are right.

use axum::body::Bytes;
use hyper::StatusCode;

use crate::{
    contestants::{Contestant, Replays},
    error::Error,
    load::Answer,
    order::order,
};

/// For the contestant that keeps answers in sessions. All others get it, too, and do not look.
pub(crate) const SESSION_COOKIE: &str = "session";
/// Sixteen bytes in base64 end in a character that stands for two bits.
const END_OF_SESSION: &str = "A";
const SESSION: usize = 21;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Each request has a key that nobody has had.
    Fresh,
    /// Each connection repeats its first request.
    Replay,
}

impl Workload {
    /// What can be asked of a contestant.
    pub(crate) fn of(contestant: Contestant) -> &'static [Self] {
        if contestant.keeps_answers() {
            &[Self::Fresh, Self::Replay]
        } else {
            &[Self::Fresh]
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Fresh => "fresh key",
            Self::Replay => "replay",
        }
    }
}

/// The headers that tell a request from others.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) key: String,
    pub(crate) cookie: String,
}

impl Key {
    pub(crate) fn fresh() -> Self {
        let key = format!("{:032x}", rand::random::<u128>());
        let cookie = format!("{SESSION_COOKIE}={}{END_OF_SESSION}", &key[..SESSION]);
        Self { key, cookie }
    }
}

/// Bodies, and so the answers: a handler gives back what it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Payloads {
    pub(crate) order: Bytes,
    /// Another one.
    pub(crate) other: Bytes,
}

impl Payloads {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            order: serde_json::to_vec(&order(4711))?.into(),
            other: serde_json::to_vec(&order(4712))?.into(),
        })
    }
}

/// The answer of a handler that has run.
pub(crate) fn is_first(answer: &Answer, body: &Bytes) -> bool {
    answer.status == StatusCode::OK && !answer.is_replay && answer.body == body
}

/// The answer of an earlier run, and marked as such where the contestant does that.
pub(crate) fn is_replay(contestant: Contestant, answer: &Answer, body: &Bytes) -> bool {
    let is_marked = matches!(contestant.replays(), Replays::Marked(_));
    answer.status == StatusCode::OK && answer.is_replay == is_marked && answer.body == body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, is_replay: bool) -> Answer {
        Answer {
            status,
            is_replay,
            body: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn a_session_is_of_22_characters_and_of_its_key() {
        let key = Key::fresh();
        let session = key.cookie.strip_prefix("session=").unwrap();
        assert_eq!(session.len(), 22);
        assert_eq!(session[..SESSION], key.key[..SESSION]);
        assert_ne!(Key::fresh().key, key.key);
    }

    #[test]
    fn a_replay_is_marked_by_who_says_so() {
        let body = Bytes::from_static(b"{}");
        let (plain, marked) = (answer(StatusCode::OK, false), answer(StatusCode::OK, true));
        assert!(is_first(&plain, &body) && !is_first(&marked, &body));
        assert!(is_replay(Contestant::Redis, &marked, &body));
        assert!(!is_replay(Contestant::Redis, &plain, &body));
        assert!(is_replay(Contestant::ByHand, &plain, &body));
        let other = Bytes::from_static(b"[]");
        assert!(!is_first(&plain, &other) && !is_replay(Contestant::Redis, &marked, &other));
        let conflict = answer(StatusCode::CONFLICT, false);
        assert!(!is_first(&conflict, &body) && !is_replay(Contestant::ByHand, &conflict, &body));
    }
}
