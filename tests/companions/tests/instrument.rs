//! `#[tracing::instrument]`: its span is about the body, as long as the body lasts.

mod common;

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{extract::State, routing::post, Extension, Json, Router};
use common::{answer_and_replay, request, send};
use idem_companions::{App, Effects, Payment, Receipt, Refusal, Till, User};
use safe::idempotent;
use tokio::{sync::Notify, time::timeout};
use tracing::{
    field::{Field, Visit},
    instrument, span, subscriber, Event, Subscriber,
};
use tracing_subscriber::{
    layer::{Context, SubscriberExt},
    registry::{LookupSpan, Scope},
    Layer, Registry,
};

/// How long anything may take that is only waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a body stops, so that something can happen in the middle of it.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<Doors>);

#[derive(Debug, Default)]
struct Doors {
    reached: Notify,
    opened: Notify,
    left: Notify,
}

#[instrument(skip(effects, gate))]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user", wait = "30s")]
async fn above(
    State(effects): State<Effects>,
    Extension(gate): Extension<Gate>,
    User { id }: User,
    Json(amount): Json<u32>,
) -> String {
    tracing::info!("begun");
    gate.0.reached.notify_one();
    gate.0.opened.notified().await;
    let effect = effects.happen();
    tracing::info!(effect, "ended");
    gate.0.left.notify_one();
    format!("{effect}: {amount} of {id}")
}

#[idempotent(crate = ::safe, ttl = "24h", scope = "user", wait = "30s")]
#[instrument(skip(effects, gate))]
async fn below(
    State(effects): State<Effects>,
    Extension(gate): Extension<Gate>,
    User { id }: User,
    Json(amount): Json<u32>,
) -> String {
    tracing::info!("begun");
    gate.0.reached.notify_one();
    gate.0.opened.notified().await;
    let effect = effects.happen();
    tracing::info!(effect, "ended");
    gate.0.left.notify_one();
    format!("{effect}: {amount} of {id}")
}

#[instrument(name = "refused", skip_all, fields(amount = payment.amount), err(Debug))]
#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
async fn refused_above(Json(payment): Json<Payment>) -> Result<Json<Payment>, Refusal> {
    if payment.amount == 0 {
        return Err(Refusal::NothingToPay);
    }
    Ok(Json(payment))
}

#[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
#[instrument(name = "refused", skip_all, fields(amount = payment.amount), err(Debug))]
async fn refused_below(Json(payment): Json<Payment>) -> Result<Json<Payment>, Refusal> {
    if payment.amount == 0 {
        return Err(Refusal::NothingToPay);
    }
    Ok(Json(payment))
}

struct Shop;

impl Shop {
    const FEE: u32 = Till::FEE;

    #[instrument(skip(effects))]
    #[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
    async fn above(State(effects): State<Effects>, Json(amount): Json<u32>) -> Json<Receipt> {
        tracing::info!("within");
        let (effect, amount) = (effects.happen(), amount + Self::FEE);
        Json(Receipt { effect, amount })
    }

    #[idempotent(crate = ::safe, ttl = "24h", scope = "user")]
    #[instrument(skip(effects))]
    async fn below(State(effects): State<Effects>, Json(amount): Json<u32>) -> Json<Receipt> {
        tracing::info!("within");
        let (effect, amount) = (effects.happen(), amount + Self::FEE);
        Json(Receipt { effect, amount })
    }
}

#[tokio::test]
async fn a_span_above_encloses_the_body_which_runs_once() {
    the_span_encloses_the_body("above").await;
}

#[tokio::test]
async fn a_span_below_encloses_the_body_which_runs_once() {
    the_span_encloses_the_body("below").await;
}

#[tokio::test]
async fn a_span_above_outlives_the_client() {
    the_span_outlives_the_client("above").await;
}

#[tokio::test]
async fn a_span_below_outlives_the_client() {
    the_span_outlives_the_client("below").await;
}

#[tokio::test]
async fn an_error_is_reported_within_the_span_in_either_place() {
    for line in ["POST /refused-above", "POST /refused-below"] {
        let (log, _guard) = Log::start();
        let (router, _, _) = start();
        let payment = r#"{"amount": 0, "currency": "EUR"}"#;
        let answer = answer_and_replay(&router, line, payment).await;
        assert_eq!(answer.body, "nothing to pay");
        assert_eq!(
            log.lines(),
            ["idempotent > refused{amount=0}: error=NothingToPay"],
            "{line}"
        );
    }
}

#[tokio::test]
async fn the_span_of_an_associated_function_has_the_functions_name_above() {
    the_span_has_the_functions_name("above").await;
}

#[tokio::test]
async fn the_span_of_an_associated_function_has_the_functions_name_below() {
    the_span_has_the_functions_name("below").await;
}

async fn the_span_encloses_the_body(name: &str) {
    let (log, _guard) = Log::start();
    let (router, app, gate) = start();
    gate.0.opened.notify_one();
    let answer = answer_and_replay(&router, &format!("POST /{name}"), "7").await;
    assert_eq!(answer.body, "1: 7 of ana");
    assert_eq!(app.effects().count(), 1);
    assert_eq!(log.lines(), begun_and_ended(name));
}

async fn the_span_outlives_the_client(name: &str) {
    let (log, _guard) = Log::start();
    let (router, app, gate) = start();
    let line = format!("POST /{name}");

    let mut first = Box::pin(send(&router, request(&line, "7")));
    tokio::select! {
        biased;
        answer = &mut first => panic!("it ended before the client could leave: {answer:?}"),
        reached = timeout(PATIENCE, gate.0.reached.notified()) => reached.unwrap(),
    }
    drop(first);
    assert_eq!(app.effects().count(), 0);
    gate.0.opened.notify_one();
    timeout(PATIENCE, gate.0.left.notified()).await.unwrap();
    assert_eq!(log.lines(), begun_and_ended(name));

    let retry = send(&router, request(&line, "7")).await;
    assert_eq!((retry.is_replay, &*retry.body), (true, "1: 7 of ana"));
    assert_eq!(app.effects().count(), 1);
    assert_eq!(log.lines(), begun_and_ended(name));
}

async fn the_span_has_the_functions_name(name: &str) {
    let (log, _guard) = Log::start();
    let (router, app, _) = start();
    let answer = answer_and_replay(&router, &format!("POST /shop/{name}"), "7").await;
    assert_eq!(answer.body, r#"{"effect":1,"amount":9}"#);
    assert_eq!(app.effects().count(), 1);
    assert_eq!(
        log.lines(),
        [format!("idempotent > {name}{{amount=7}}: within")]
    );
}

fn begun_and_ended(name: &str) -> [String; 2] {
    let span = format!("idempotent > {name}{{id=\"ana\" amount=7}}");
    [format!("{span}: begun"), format!("{span}: ended effect=1")]
}

fn start() -> (Router, App, Gate) {
    let (app, gate) = (App::new().unwrap(), Gate::default());
    let router = Router::new()
        .route("/above", post(above))
        .route("/below", post(below))
        .route("/refused-above", post(refused_above))
        .route("/refused-below", post(refused_below))
        .route("/shop/above", post(Shop::above))
        .route("/shop/below", post(Shop::below))
        .layer(Extension(gate.clone()))
        .with_state(app.clone());
    (router, app, gate)
}

/// The events of these handlers, each with the spans around it.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Listens on this thread, until the guard is dropped.
    fn start() -> (Self, subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = subscriber::set_default(Registry::default().with(log.clone()));
        (log, guard)
    }

    /// `span > span{field=value}: message field=value`
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, span: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        span.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with(module_path!()) {
            return;
        }
        let spans: Vec<_> = context
            .event_scope(event)
            .into_iter()
            .flat_map(Scope::from_root)
            .map(|span| match span.extensions().get::<Fields>() {
                // What idem's own span says is not the matter here.
                Some(fields) if span.name() != "idempotent" => {
                    format!("{}{{{fields}}}", span.name())
                }
                _ => span.name().to_owned(),
            })
            .collect();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = format!("{}: {fields}", spans.join(" > "));
        self.0.lock().unwrap().push(line);
    }
}

#[derive(Debug, Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        let written = match field.name() {
            "message" => write!(self.0, "{space}{value:?}"),
            name => write!(self.0, "{space}{name}={value:?}"),
        };
        written.unwrap();
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
