//! A request runs once, or is refused and does not run.

use std::{
    cell::LazyCell,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use idem_core::{IdempotencyKey, MemoryStore};
use tower::{Layer, ServiceExt, service_fn};

use super::problem::sound;
use crate::{Idempotency, IdempotencyLayer, REPLAYED};

thread_local! {
    static RUNTIME: LazyCell<tokio::runtime::Runtime> = LazyCell::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    });
}

/// `data` is a method on its first line, one key on each that follows, an empty one, and a body.
pub fn request(data: &[u8]) {
    RUNTIME.with(|runtime| runtime.block_on(sent(data)));
}

async fn sent(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let method = Method::from_bytes(lines.next().unwrap_or_default()).unwrap_or(Method::POST);
    let mut rest = lines.next().unwrap_or_default();
    let mut keys = HeaderMap::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        if let Ok(line) = HeaderValue::from_bytes(line) {
            keys.append("idempotency-key", line);
        }
    }
    let service = Service::new();
    let first = service.call(&method, &keys, rest).await;
    if method.is_safe() {
        assert_eq!((first.status(), service.runs()), (StatusCode::OK, 1));
        return;
    }
    let lines = keys.get_all("idempotency-key").iter();
    let key = IdempotencyKey::from_headers(lines.map(HeaderValue::as_bytes));
    if !matches!(key, Ok(Some(_))) {
        assert_eq!(
            (first.status(), service.runs()),
            (StatusCode::BAD_REQUEST, 0)
        );
        sound(first);
        return;
    }
    assert_eq!((first.status(), service.runs()), (StatusCode::OK, 1));
    let again = service.call(&method, &keys, rest).await;
    assert_eq!((again.status(), service.runs()), (StatusCode::OK, 1));
    assert_eq!(again.headers()[REPLAYED], "true");
    assert_eq!(body(first).await, body(again).await);
    let other = service.call(&method, &keys, &[rest, b"!"].concat()).await;
    assert_eq!((other.status(), service.runs()), (StatusCode::CONFLICT, 1));
    sound(other);
}

struct Service {
    layer: IdempotencyLayer,
    runs: Arc<AtomicUsize>,
}

impl Service {
    fn new() -> Self {
        let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
        let layer = IdempotencyLayer::builder(&idempotency, Duration::from_secs(60));
        Self {
            layer: layer.global_scope().build().unwrap(),
            runs: Arc::default(),
        }
    }

    fn runs(&self) -> usize {
        self.runs.load(SeqCst)
    }

    async fn call(&self, method: &Method, keys: &HeaderMap, body: &[u8]) -> Response {
        let mut request = Request::new(Body::from(body.to_vec()));
        *request.method_mut() = method.clone();
        *request.headers_mut() = keys.clone();
        let runs = Arc::clone(&self.runs);
        let echo = service_fn(move |request: Request| {
            runs.fetch_add(1, SeqCst);
            async move { Ok::<_, Infallible>(request.into_body().into_response()) }
        });
        match self.layer.layer(echo).oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

async fn body(answer: Response) -> bytes::Bytes {
    axum::body::to_bytes(answer.into_body(), usize::MAX)
        .await
        .unwrap()
}
