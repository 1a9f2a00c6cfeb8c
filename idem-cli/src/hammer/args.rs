//! The command line of `idem hammer`.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use url::Url;

use super::rules::Rule;
use crate::given::{Data, Header};

/// Break a service of your own on purpose: which promises of idempotency does it keep?
///
/// Sends one request (the template) under many keys: duplicates in the same instant, retries, other
/// payloads, connections that end in mid-flight, another user. Each request that the service
/// executes is real, so this is for staging, and for services that you own.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Where the request goes, `http://…` or `https://…`
    pub(crate) url: Url,

    /// The method
    #[arg(long, short = 'X', default_value = "POST")]
    pub(crate) method: Method,

    /// A header of the request, `Name: value`; may be repeated
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub(crate) headers: Vec<Header>,

    /// The body: JSON or text, or `@FILE`
    #[arg(long, short = 'd', value_name = "BODY")]
    pub(crate) data: Option<Data>,

    /// The body's type [default: application/json if the body is JSON]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<HeaderValue>,

    /// Another body that the service accepts too [default: the JSON with one number or text changed]
    #[arg(long, value_name = "BODY")]
    pub(crate) changed_data: Option<Data>,

    /// A header of a second user, instead of the one of that name; may be repeated
    #[arg(long = "other-header", value_name = "HEADER")]
    pub(crate) other_headers: Vec<Header>,

    /// The header that carries the key
    #[arg(long, value_name = "NAME", default_value = "Idempotency-Key")]
    pub(crate) key_header: HeaderName,

    /// Requests of one key in the same instant
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..=500))]
    pub(crate) duplicates: u16,

    /// How many keys each rule is tried with
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) rounds: u16,

    /// Never send more requests than this
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(crate) max_requests: u64,

    /// Never take longer than this
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) max_time: humantime::Duration,

    /// How long one request may take
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) timeout: humantime::Duration,

    /// Counts the effects: a GET that answers a JSON number, or a list with an entry for each
    #[arg(long, value_name = "URL")]
    pub(crate) effects_url: Option<Url>,

    /// Where in that JSON the number or list is, as a JSON pointer (`/data/total`)
    #[arg(
        long,
        value_name = "POINTER",
        default_value = "",
        requires = "effects_url"
    )]
    pub(crate) effects_pointer: String,

    /// A header that may differ between an answer and its replay; may be repeated
    #[arg(long = "ignore-header", value_name = "NAME")]
    pub(crate) ignored_headers: Vec<HeaderName>,

    /// A rule that is not for this service; may be repeated
    #[arg(long, value_name = "RULE")]
    pub(crate) skip: Vec<Rule>,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Yes, a target that is not this machine may be hammered
    #[arg(long)]
    pub(crate) i_own_this_service: bool,

    /// No progress bar on stderr
    #[arg(long)]
    pub(crate) no_progress: bool,
}

const AFTER_HELP: &str = "\
Example:
  idem hammer http://127.0.0.1:3000/payments \\
      -H 'Authorization: Bearer alice' --other-header 'Authorization: Bearer bob' \\
      --data '{\"amount\":1250,\"currency\":\"EUR\"}' --effects-url http://127.0.0.1:3000/payments

Verdicts:
  holds          tried, and as it should be
  VIOLATED       a promise is broken; the evidence follows
  inconclusive   the service failed or did not answer, so nobody can tell
  not seen       the situation did not come up, or could not be observed
  skipped        not tried, with the reason

Exit codes: 0 nothing that was seen is wrong, 1 something is VIOLATED or inconclusive,
2 nothing was tested (usage, refused target, unreachable service, refused request).

Redirects are not followed and proxies not used. A certificate is verified against the system's
roots; name a private one's authority in the environment as SSL_CERT_FILE.";

impl Args {
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.into()
    }
}
