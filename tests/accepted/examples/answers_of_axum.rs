use std::convert::Infallible;

use axum::{
    Form, Json, Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
    response::{
        AppendHeaders, ErrorResponse, Html, IntoResponse, NoContent, Redirect, Response,
        Result as AxumResult,
    },
    routing::post,
};
use idem_axum::{Idempotency, idempotent};

type Answer<T> = Result<Json<T>, StatusCode>;

#[idempotent(ttl = "24h", scope = "global")]
async fn alias(amount: String) -> Answer<u32> {
    amount
        .parse()
        .map(Json)
        .map_err(|_| StatusCode::BAD_REQUEST)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn any_error(amount: String) -> AxumResult<Json<u32>> {
    let amount = amount
        .parse()
        .map_err(|_| ErrorResponse::from(StatusCode::BAD_REQUEST))?;
    Ok(Json(amount))
}

#[idempotent(ttl = "24h", scope = "global")]
async fn never_an_error(amount: String) -> Result<Html<String>, Infallible> {
    Ok(Html(amount))
}

#[idempotent(ttl = "24h", scope = "global")]
async fn opaque_in_a_result(amount: String) -> Result<impl IntoResponse, (StatusCode, String)> {
    Ok((
        StatusCode::CREATED,
        AppendHeaders([(header::LOCATION, "/1")]),
        amount,
    ))
}

#[idempotent(ttl = "24h", scope = "global")]
async fn headers(amount: String) -> (StatusCode, HeaderMap, Bytes) {
    (StatusCode::OK, HeaderMap::new(), amount.into())
}

#[idempotent(ttl = "24h", scope = "global")]
async fn form(amount: String) -> Form<Vec<(String, String)>> {
    Form(vec![("amount".to_owned(), amount)])
}

#[idempotent(ttl = "24h", scope = "global")]
async fn redirect(_: String) -> Redirect {
    Redirect::to("/")
}

#[idempotent(ttl = "24h", scope = "global")]
async fn nothing(_: String) -> NoContent {
    NoContent
}

#[idempotent(ttl = "24h", scope = "global")]
async fn body(amount: String) -> Body {
    Body::from(amount)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn nested(amount: String) -> Result<Result<Json<String>, Html<String>>, Response> {
    if amount.is_empty() {
        Err(NoContent.into_response())
    } else {
        Ok(Ok(Json(amount)))
    }
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/alias", post(alias))
        .route("/any", post(any_error))
        .route("/never", post(never_an_error))
        .route("/opaque", post(opaque_in_a_result))
        .route("/headers", post(headers))
        .route("/form", post(form))
        .route("/redirect", post(redirect))
        .route("/nothing", post(nothing))
        .route("/body", post(body));
}
