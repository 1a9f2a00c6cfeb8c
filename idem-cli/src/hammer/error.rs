//! Why nothing was tested. Each says what to do.

use std::net::IpAddr;

use http::HeaderName;

use super::client::Lost;

#[derive(Debug, thiserror::Error)]
pub(crate) enum HammerError {
    #[error("`{url}` cannot be hammered: {reason}")]
    Url { url: String, reason: &'static str },

    #[error("`{host}` cannot be resolved")]
    Resolve {
        host: String,
        #[source]
        cause: std::io::Error,
    },

    #[error("`{host}` has no address")]
    NoAddress { host: String },

    #[error(
        "refused: `{host}` is {address}, which is not this machine; nothing was sent. Hammering \
         executes real requests under load. If the service is yours and may be broken, say \
         --i-own-this-service"
    )]
    NotLoopback { host: String, address: IpAddr },

    #[error(
        "`{name}` carries the key, which is made for each request: leave it out of the headers, or name another with --key-header"
    )]
    KeyGiven { name: HeaderName },

    #[error("no certificate authority is known, so no https:// target can be verified")]
    Certificates(#[source] rustls::Error),

    #[error("the service at {url} does not answer a single request: {cause}")]
    Unreachable { url: String, cause: Lost },

    #[error(
        "the service refuses the template itself, so no rule can be tried\n  \
         answer  {answer}\n  to do   {advice}"
    )]
    Refused { answer: String, advice: String },

    #[error(
        "the effects cannot be counted at {url}: {reason}\n  \
         to do   give an --effects-url that answers a JSON number or list (--effects-pointer says where in it), or leave it out"
    )]
    Effects { url: String, reason: String },

    #[error(
        "one request was executed, and the effects at {url} went from {before} to {after}: they do \
         not count its effect\n  \
         to do   see that the URL shows this user's effects, all of them and at once (a list that ends at a page does not), and that nobody else uses the service now"
    )]
    EffectsDoNotCount {
        url: String,
        before: u64,
        after: u64,
    },

    #[error("the bounds end the run before anything was tested: {0}")]
    Bounds(super::budget::Stop),

    #[error("the report cannot be written")]
    Output(#[source] std::io::Error),
}
