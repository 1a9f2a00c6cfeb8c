//! Who asks, for which name, under which key. The authentication is a demo's:
//! `Authorization: Bearer NAME` is the user NAME.

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

/// One authenticated request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) key: String,
}

/// The user that a request is from.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let user = value.strip_prefix("Bearer ")?;
    is_word(user).then(|| user.to_owned())
}

/// What may stand in a column of the effects file.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Some(user) = bearer(&parts.headers) else {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            return Err(
                (StatusCode::UNAUTHORIZED, challenge, "send a bearer token").into_response()
            );
        };
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        if !is_word(&name) {
            let reason = "a name is 1 to 64 letters, digits, dots, dashes and underscores";
            return Err((StatusCode::BAD_REQUEST, reason).into_response());
        }
        let key = parts.headers.get("idempotency-key");
        Ok(Self {
            user,
            name,
            key: key
                .and_then(|key| key.to_str().ok())
                .unwrap_or("-")
                .to_owned(),
        })
    }
}
