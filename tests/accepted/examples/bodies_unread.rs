use axum::{
    Router,
    body::Body,
    extract::{Multipart, Path, Request},
    routing::post,
};
use idem_axum::{Idempotency, idempotent};

// The missing piece is given: the author says what makes two uploads differ.
#[idempotent(ttl = "24h", scope = "global", fingerprint = name)]
async fn upload(Path(name): Path<String>, mut parts: Multipart) -> String {
    let mut fields = 0;
    while let Ok(Some(_)) = parts.next_field().await {
        fields += 1;
    }
    format!("{name} {fields}")
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = request.uri().path())]
async fn whole(request: Request) -> String {
    request.uri().to_string()
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = "raw")]
async fn bytes_of_the_request(request: Request) -> String {
    request.uri().to_string()
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = "raw")]
async fn bytes_of_the_body(body: Body) -> Body {
    body
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/upload/{name}", post(upload))
        .route("/whole", post(whole))
        .route("/request", post(bytes_of_the_request))
        .route("/body", post(bytes_of_the_body));
}
