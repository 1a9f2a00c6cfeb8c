//! The names that are taken: some by what a handler takes and answers, the rest by nothing at all.

use ::idem_axum::{FingerprintBuilder, FingerprintError};
use ::std::convert::Infallible;

use crate::App;

/// An argument from the state.
#[derive(::std::fmt::Debug)]
pub struct State(
    /// The whole state.
    pub App,
);

impl ::axum::extract::FromRequestParts<App> for State {
    type Rejection = Infallible;

    async fn from_request_parts(
        _: &mut ::axum::http::request::Parts,
        app: &App,
    ) -> ::std::result::Result<Self, Infallible> {
        ::std::result::Result::Ok(Self(::std::clone::Clone::clone(app)))
    }
}

/// An argument that reads the body.
#[derive(::std::fmt::Debug)]
pub struct Json<T>(
    /// The payload.
    pub T,
);

impl<S, T> ::axum::extract::FromRequest<S> for Json<T>
where
    S: ::std::marker::Send + ::std::marker::Sync,
    T: ::serde::de::DeserializeOwned,
{
    type Rejection = ::axum::extract::rejection::JsonRejection;

    async fn from_request(
        request: ::axum::extract::Request,
        state: &S,
    ) -> ::std::result::Result<Self, Self::Rejection> {
        let ::axum::Json(payload) =
            <::axum::Json<T> as ::axum::extract::FromRequest<S>>::from_request(request, state)
                .await?;
        ::std::result::Result::Ok(Self(payload))
    }
}

impl<T: ::serde::Serialize> ::idem_axum::FingerprintBody for Json<T> {
    fn fingerprint(
        &self,
        to: &mut FingerprintBuilder,
    ) -> ::std::result::Result<(), FingerprintError> {
        to.typed(&self.0)?;
        ::std::result::Result::Ok(())
    }
}

/// An answer, and how often there was one.
#[derive(::std::fmt::Debug)]
pub struct Response(
    /// The effect's number.
    pub u32,
    /// What it says.
    pub ::std::string::String,
);

impl ::axum::response::IntoResponse for Response {
    fn into_response(self) -> ::axum::response::Response {
        ::std::format!("{}: {}", self.0, self.1).into_response()
    }
}

/// An answer that may be none.
#[derive(::std::fmt::Debug)]
pub enum Result {
    /// One.
    Some(Response),
    /// None.
    None,
}

impl ::axum::response::IntoResponse for Result {
    fn into_response(self) -> ::axum::response::Response {
        match self {
            Self::Some(answer) => answer.into_response(),
            Self::None => ::axum::http::StatusCode::IM_A_TEAPOT.into_response(),
        }
    }
}

macro_rules! nothing {
    (struct $($name:ident)*) => { $(
        /// Nothing.
        #[derive(::std::fmt::Debug)]
        #[allow(non_camel_case_types, reason = "primitive types are taken as well")]
        pub struct $name;
    )* };
    (trait $($name:ident)*) => { $(
        /// Nothing.
        pub trait $name {}
    )* };
}

nothing!(struct Option Some None Ok Err String Box Vec Arc Duration);
nothing!(struct Request Body Router Entered Captured CapturedRaw Deferred Call HandlerSpec);
nothing!(struct u64 usize str bool);
nothing!(trait IntoResponse Future Send Sync Sized Clone Copy Drop Fn FnOnce FnMut From Into);
nothing!(trait Default Iterator Display FromRequest FromRequestParts FingerprintBody);

/// Not the crate.
pub mod core {}
/// Not the crate.
pub mod std {}
/// Not the crate.
pub mod axum {}
/// Not the crate.
pub mod idem_axum {}
/// Not the crate.
pub mod inventory {}
