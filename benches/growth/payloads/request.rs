//! One request with a large body, whose answer has it again.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode, header},
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use rand::distr::{Alphanumeric, SampleString};
use tower::ServiceExt;

use super::sites::Document;

/// A body comes in such pieces, as from a socket.
const PIECE: usize = 64 * 1024;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Json,
    Bytes,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "`Json` of a struct with a `String`",
            Self::Bytes => "`Bytes`",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Json => "/json",
            Self::Bytes => "/bytes",
        }
    }

    /// Nothing in it can be compressed: PostgreSQL tries, and gives up at once.
    pub(crate) fn payload(self, bytes: usize) -> Bytes {
        let text = Alphanumeric.sample_string(&mut rand::rng(), bytes);
        match self {
            Self::Json => serde_json::to_vec(&Document { text }).unwrap().into(),
            Self::Bytes => text.into(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Bare,
    Fresh,
    Replay,
}

/// Sends it and reads the whole answer; how long that took.
pub(crate) async fn send(
    router: &Router,
    (kind, way): (Kind, Way),
    key: &str,
    payload: &Bytes,
) -> Duration {
    let path = match way {
        Way::Bare => format!("/bare{}", kind.path()),
        Way::Fresh | Way::Replay => kind.path().to_owned(),
    };
    let started = Instant::now();
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, payload.len())
        .header("idempotency-key", key)
        .body(in_pieces(payload.clone()))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let is_replay = response.headers().contains_key("idempotent-replayed");
    assert_eq!(is_replay, way == Way::Replay);
    let (mut body, mut length) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    assert_eq!(length, payload.len());
    started.elapsed()
}

/// Each piece is allocated when it is read, and nobody has the whole.
fn in_pieces(payload: Bytes) -> Body {
    let starts = stream::iter((0..payload.len()).step_by(PIECE));
    Body::from_stream(starts.map(move |start| {
        let end = payload.len().min(start + PIECE);
        Ok::<_, Infallible>(Bytes::copy_from_slice(&payload[start..end]))
    }))
}
