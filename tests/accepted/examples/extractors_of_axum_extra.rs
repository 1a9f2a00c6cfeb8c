use axum::{
    Json, Router,
    extract::{Query as AxumQuery, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use axum_extra::{
    TypedHeader,
    extract::{Cached, CookieJar, OptionalQuery, Query, WithRejection},
    headers::{Authorization, UserAgent, authorization::Bearer},
};
use idem_axum::{Idempotency, idempotent};

struct Oops;

impl From<QueryRejection> for Oops {
    fn from(_: QueryRejection) -> Self {
        Self
    }
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        StatusCode::BAD_REQUEST.into_response()
    }
}

#[idempotent(ttl = "24h", scope = bearer.token())]
async fn headers(
    TypedHeader(bearer): TypedHeader<Authorization<Bearer>>,
    agent: Option<TypedHeader<UserAgent>>,
    jar: CookieJar,
    Json(amount): Json<u32>,
) -> (CookieJar, String) {
    let text = format!("{} {} {amount}", bearer.token().len(), agent.is_some());
    (jar, text)
}

#[idempotent(ttl = "24h", scope = "global")]
async fn queries(
    Cached(first): Cached<CookieJar>,
    Query(all): Query<Vec<(String, u32)>>,
    OptionalQuery(some): OptionalQuery<Vec<(String, u32)>>,
    WithRejection(AxumQuery(page), _): WithRejection<AxumQuery<Vec<(String, u32)>>, Oops>,
) -> String {
    format!(
        "{} {} {} {}",
        first.iter().count(),
        all.len(),
        some.is_some(),
        page.len()
    )
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/headers", post(headers))
        .route("/queries", post(queries));
}
