//! Which operation a request belongs to, and whose it is. In process, on a paused clock.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{
    Router,
    body::Body,
    extract::{FromRef, State},
    http::{Method, Request, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::{post, put},
};
use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::BodyExt;
use idem_axum::{Idempotency, IdempotencyLayer, MemoryStore, Problem, ScopeResolver, idempotent};
use tower::ServiceExt;

type Effects = Arc<AtomicUsize>;

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    effects: Effects,
}

#[idempotent(ttl = "1h", scope = "tenant")]
async fn pay(State(effects): State<Effects>, amount: String) -> String {
    let effect = effects.fetch_add(1, SeqCst) + 1;
    format!("{amount} {effect}")
}

#[idempotent(ttl = "1h", scope = "tenant", operation = "pay-anywhere")]
async fn pay_anywhere(State(effects): State<Effects>, amount: String) -> String {
    let effect = effects.fetch_add(1, SeqCst) + 1;
    format!("{amount} {effect}")
}

#[idempotent(ttl = "1h", scope = "tenant", header = "X-Request-Id")]
async fn pay_by_request(amount: String) -> String {
    amount
}

/// Asks a directory, which is closed on Sundays.
struct Directory;

impl ScopeResolver for Directory {
    fn resolve<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<Option<String>, Response>> {
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            match parts.headers.get("x-tenant").map(|t| t.to_str().unwrap()) {
                Some("sunday") => Err((StatusCode::FORBIDDEN, "closed").into_response()),
                Some(tenant) => Ok(Some(tenant.to_owned())),
                None => Ok(None),
            }
        }
        .boxed()
    }
}

fn app() -> App {
    App {
        idempotency: Idempotency::builder(MemoryStore::new())
            .scope_resolver("tenant", Directory)
            .build()
            .unwrap(),
        effects: Effects::default(),
    }
}

async fn send(router: &Router, method: Method, path: &str, tenant: Option<&str>) -> Response {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("idempotency-key", "k");
    if let Some(tenant) = tenant {
        request = request.header("x-tenant", tenant);
    }
    let request = request.body(Body::from("5")).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_is_asked_for_by_the_name_of_its_header() {
    let router = Router::new()
        .route("/other", post(pay_by_request))
        .route("/usual", post(pay))
        .with_state(app());
    for (path, header) in [("/other", "x-request-id"), ("/usual", "Idempotency-Key")] {
        let request = Request::post(path).body(Body::from("5")).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.extensions().get(), Some(&Problem::KeyMissing));
        assert!(
            text(answer)
                .await
                .contains(&format!("Send the header {header} "))
        );
    }
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_method_and_route_is_an_operation_of_its_own() {
    let v1 = Router::new().route("/pay", post(pay));
    let router = Router::new()
        .route("/pay", post(pay).put(pay))
        .nest("/v1", v1.clone())
        .nest("/v2", v1)
        .with_state(app());
    for (effect, (method, path)) in [
        (Method::POST, "/pay"),
        (Method::PUT, "/pay"),
        (Method::POST, "/v1/pay"),
        (Method::POST, "/v2/pay"),
    ]
    .into_iter()
    .enumerate()
    {
        let first = send(&router, method.clone(), path, Some("acme")).await;
        assert_eq!(text(first).await, format!("5 {}", effect + 1), "{path}");
        let retry = send(&router, method, path, Some("acme")).await;
        assert_eq!(retry.headers()["idempotent-replayed"], "true");
        assert_eq!(text(retry).await, format!("5 {}", effect + 1), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_route_is_one_operation_whatever_its_parameters_below_a_nest_too() {
    let inner = Router::new().route("/pay", post(pay));
    let router = Router::new().nest("/{region}", inner).with_state(app());
    let north = send(&router, Method::POST, "/north/pay", Some("acme")).await;
    assert_eq!(north.status(), StatusCode::OK);
    // What the client asks for is another thing, and the key is the same.
    let south = send(&router, Method::POST, "/south/pay", Some("acme")).await;
    assert_eq!(south.extensions().get(), Some(&Problem::KeyReused));
}

#[tokio::test(start_paused = true)]
async fn a_named_operation_is_one_wherever_it_is_mounted() {
    let router = Router::new()
        .route("/a", post(pay_anywhere))
        .route("/b", put(pay_anywhere))
        .with_state(app());
    let first = send(&router, Method::POST, "/a", Some("acme")).await;
    assert_eq!(first.status(), StatusCode::OK);
    let moved = send(&router, Method::PUT, "/b", Some("acme")).await;
    assert_eq!(moved.extensions().get(), Some(&Problem::KeyReused));
}

#[tokio::test(start_paused = true)]
async fn a_resolver_may_wait_and_may_refuse_in_its_own_words() {
    let app = app();
    let effects = Arc::clone(&app.effects);
    let router = Router::new().route("/pay", post(pay)).with_state(app);
    let closed = send(&router, Method::POST, "/pay", Some("sunday")).await;
    assert_eq!(closed.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(closed).await, "closed");
    for nobody in [None, Some("")] {
        let unknown = send(&router, Method::POST, "/pay", nobody).await;
        assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(unknown.extensions().get(), Some(&Problem::ScopeUnresolved));
    }
    assert_eq!(effects.load(SeqCst), 0);
    for tenant in ["acme", "globex"] {
        let own = send(&router, Method::POST, "/pay", Some(tenant)).await;
        assert!(own.headers().get("idempotent-replayed").is_none());
    }
    assert_eq!(effects.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_layer_protects_what_has_no_route_and_lets_safe_methods_through() {
    let app = app();
    let effects = Arc::clone(&app.effects);
    let hour = std::time::Duration::from_secs(3600);
    let layer = IdempotencyLayer::builder(&app.idempotency, hour)
        .scope("tenant")
        .build()
        .unwrap();
    let router = Router::new()
        .fallback(move || {
            let effect = effects.fetch_add(1, SeqCst) + 1;
            async move { effect.to_string() }
        })
        .layer(layer);
    for _ in 0..2 {
        let answer = send(&router, Method::DELETE, "/any/where", Some("acme")).await;
        assert_eq!(text(answer).await, "1");
    }
    let elsewhere = send(&router, Method::DELETE, "/else/where", Some("acme")).await;
    assert_eq!(elsewhere.extensions().get(), Some(&Problem::KeyReused));
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let safe = send(&router, method, "/any/where", None).await;
        assert_eq!(safe.status(), StatusCode::OK);
        assert!(safe.headers().get("idempotent-replayed").is_none());
    }
    assert_eq!(app.effects.load(SeqCst), 4);
}
