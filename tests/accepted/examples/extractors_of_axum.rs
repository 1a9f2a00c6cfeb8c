use std::net::SocketAddr;

use axum::{
    Extension, Json, Router,
    extract::{
        ConnectInfo, MatchedPath, NestedPath, OriginalUri, Path, Query, RawPathParams, RawQuery,
        State,
        rejection::{ExtensionRejection, PathRejection, QueryRejection},
    },
    http::{Extensions, HeaderMap, Method, Uri, Version, request::Parts},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};
use serde::Deserialize;

#[derive(Deserialize)]
struct Page {
    number: u32,
}

#[idempotent(ttl = "24h", scope = "global")]
async fn from_the_route(
    Path((shop, order)): Path<(u32, String)>,
    Query(page): Query<Page>,
    RawQuery(query): RawQuery,
    params: RawPathParams,
    path: MatchedPath,
    OriginalUri(uri): OriginalUri,
    nested: NestedPath,
    Json(amount): Json<u32>,
) -> String {
    let params = params.iter().count();
    format!(
        "{shop} {order} {} {query:?} {params} {path:?} {uri} {nested:?} {amount}",
        page.number
    )
}

#[idempotent(ttl = "24h", scope = "global")]
async fn from_the_head(
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
    parts: Parts,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(user): Extension<String>,
    amount: String,
) -> String {
    let sizes = (headers.len(), extensions.len(), parts.headers.len());
    format!("{method} {uri} {version:?} {sizes:?} {peer} {user} {amount}")
}

#[idempotent(ttl = "24h", scope = "global")]
async fn that_may_be_missing(
    path: Option<Path<u32>>,
    user: Option<Extension<String>>,
    page: Result<Query<Page>, QueryRejection>,
    id: Result<Path<u32>, PathRejection>,
    tenant: Result<Extension<u64>, ExtensionRejection>,
    route: Option<MatchedPath>,
) -> String {
    let there = [
        path.is_some(),
        user.is_some(),
        page.is_ok(),
        id.is_ok(),
        tenant.is_ok(),
        route.is_some(),
    ];
    format!("{there:?}")
}

#[idempotent(ttl = "24h", scope = "global")]
async fn in_tuples((method, headers): (Method, HeaderMap), (uri, _): (Uri, ())) -> String {
    format!("{method} {} {uri}", headers.len())
}

#[idempotent(ttl = "24h", scope = "global")]
async fn from_the_state(State(idempotency): State<Idempotency>, amount: String) -> String {
    format!("{idempotency:?} {amount}")
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/route/{shop}/{order}", post(from_the_route))
        .route("/head", post(from_the_head))
        .route("/maybe", post(that_may_be_missing))
        .route("/tuples", post(in_tuples))
        .route("/state", post(from_the_state));
}
