//! A consumer of a queue that delivers at least once: a Redis Stream with a consumer group. What comes
//! twice (the producer sent it again, a consumer did not get to acknowledge it) has one effect; what
//! becomes of an effect that is interrupted is told below.
//!
//! ```sh
//! cargo run --example consumer --features redis -- produce 5 # five invoices, each sent twice
//! cargo run --example consumer --features redis -- consume   # sends five mails; stop it with Ctrl-C
//! ```
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `REDIS_URL` | where the queue is | `redis://127.0.0.1:6379` |
//! | `IDEM_STORE` | where the records are, see `examples/common/store.rs` | the queue's Redis |
//! | `IDEM_LEASE` | how long a consumer may be silent before its work may be taken over | 30s |
//! | `IDEM_ON_CRASH` | `takeover` or `refuse`, see below | `takeover` |
//! | `IDEM_EFFECTS` | a file that gets one line for each mail | none: they are printed |
//! | `CONSUMER` | this consumer's name in the group | `one` |
//! | `CLAIM_AFTER` | how long a message may lie with a consumer before another one may have it | 30s |
//! | `CONSUMER_STOPS` | where the consumer waits for a SIGUSR1, see `examples/consumer/stops.rs` | none |
//!
//! What becomes of a message is [`handle`]'s: acknowledged when its work is done; left alone, to come
//! again, while it may still succeed; a dead letter if it never can. (Mails that fail for ever come again
//! for ever: watch `XINFO GROUPS invoices`.) A consumer that is killed between the mail and its record
//! has sent a mail that nobody knows of: it is sent again when the lease has lapsed, at least once, or
//! with `IDEM_ON_CRASH=refuse` becomes a dead letter, at most once.

#[path = "consumer/mails.rs"]
mod mails;
#[path = "consumer/queue.rs"]
mod queue;
#[path = "consumer/stops.rs"]
mod stops;
#[path = "common/store.rs"]
mod store;

use std::{env, error::Error, fmt, time::Duration};

use idem_axum::{Drained, Idempotency, OnCrash, OnceError, Policy, Scope};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    mails::{Invoice, Mails},
    queue::{Message, Queue},
    stops::stop_at,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let url = env::var("REDIS_URL").unwrap_or("redis://127.0.0.1:6379".to_owned());
    let name = env::var("CONSUMER").unwrap_or("one".to_owned());
    let queue = Queue::open(&url, name, duration("CLAIM_AFTER", 30)?)
        .await
        .map_err(|error| format!("the queue at REDIS_URL: {error}"))?;
    let words: Vec<_> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["produce", count] => produce(queue, count.parse()?).await,
        ["consume"] => consume(queue, &url).await,
        _ => Err("say `produce COUNT` or `consume`".into()),
    }
}

/// A producer that got no answer sends again: so does this one, each time.
async fn produce(mut queue: Queue, count: usize) -> Result<(), Box<dyn Error>> {
    for number in 1..=count {
        let invoice = Invoice {
            to: format!("customer-{number}@example.com"),
            amount: 1250,
        };
        let (event, payload) = (
            format!("invoice-{number}"),
            serde_json::to_string(&invoice)?,
        );
        queue.send(&event, &payload).await?;
        queue.send(&event, &payload).await?;
    }
    println!("{count} invoices, each sent twice");
    Ok(())
}

async fn consume(mut queue: Queue, url: &str) -> Result<(), Box<dyn Error>> {
    let builder = match env::var_os("IDEM_STORE") {
        Some(_) => store::idempotency().await?,
        None => store::at(url).await?,
    };
    let policy = Policy {
        lease: duration("IDEM_LEASE", 30)?,
        on_crash: on_crash()?,
        ..Policy::default()
    };
    let idempotency = builder.policy(policy).build()?;
    let mut stopping = termination()?;
    println!("consuming {} as {}", queue::INVOICES, queue.name());
    let ended = work(&mut queue, &idempotency, &mut stopping).await;
    println!("draining");
    match idempotency.drain(Duration::from_secs(30)).await {
        Drained::Clean => println!("drained"),
        Drained::Left(left) => println!("{left} executions were left"),
    }
    Ok(ended?)
}

/// Until it is told to stop, or the queue fails: whoever starts it again goes on where it was.
async fn work(
    queue: &mut Queue,
    idempotency: &Idempotency,
    stopping: &mut watch::Receiver<bool>,
) -> redis::RedisResult<()> {
    let mails = Mails::new(env::var_os("IDEM_EFFECTS"));
    while !*stopping.borrow() {
        let Some(message) = queue.next().await? else {
            continue;
        };
        let verdict = handle(idempotency, &mails, &message).await;
        println!(
            "{} {}: {verdict}",
            message.id,
            message.event().unwrap_or("?")
        );
        match verdict {
            Verdict::Done { .. } => {
                stop_at("recorded").await;
                queue.acknowledge(&message).await?;
            }
            Verdict::Later(_) => {}
            Verdict::Wait(_) => {
                // Or until it is told to stop.
                let stopped = stopping.wait_for(|stopping| *stopping);
                let _ = tokio::time::timeout(Duration::from_secs(1), stopped).await;
            }
            Verdict::Dead(why) => queue.bury(&message, &why).await?,
        }
    }
    Ok(())
}

/// What becomes of a message.
enum Verdict {
    /// Its effect has happened and is recorded: it need not come again.
    Done { replayed: bool },
    /// It stays unacknowledged, and comes again when it has lain for a while.
    Later(String),
    /// So does it, and the next message would fare no better now.
    Wait(String),
    /// It would fail for ever: somebody has to look at it.
    Dead(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { replayed: false } => f.write_str("done"),
            Self::Done { replayed: true } => f.write_str("was done before"),
            Self::Later(why) => write!(f, "later, {why}"),
            Self::Wait(why) => write!(f, "waits, {why}"),
            Self::Dead(why) => write!(f, "dead letter, {why}"),
        }
    }
}

/// The key is the producer's id of the event: the stream's id is a new one each time it is sent.
async fn handle(idempotency: &Idempotency, mails: &Mails, message: &Message) -> Verdict {
    let (event, invoice) = match message.read::<Invoice>() {
        Ok(readable) => readable,
        Err(error) => return Verdict::Dead(error.to_string()),
    };
    let send = || mails.send(event.to_owned(), invoice.clone());
    let once = idempotency.once("send-invoice", &Scope::GLOBAL, event, &invoice, send);
    match once.await {
        // The store has not taken the record yet: it may be there when the message comes again.
        Ok(sent) if !sent.stored => Verdict::Later("the record is not stored yet".to_owned()),
        Ok(sent) => Verdict::Done {
            replayed: sent.replayed,
        },
        Err(OnceError::Work(error)) => Verdict::Later(error.to_string()),
        Err(error) if !error.is_retryable() => Verdict::Dead(error.to_string()),
        Err(error @ (OnceError::Store(_) | OnceError::NotCommitted(_))) => {
            Verdict::Wait(error.to_string())
        }
        Err(error) => Verdict::Later(error.to_string()),
    }
}

/// Becomes true at the first SIGINT or SIGTERM; the message at hand is finished then.
fn termination() -> std::io::Result<watch::Receiver<bool>> {
    let (stop, stopping) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        println!("stopping");
        stop.send_replace(true);
    });
    Ok(stopping)
}

fn duration(variable: &str, seconds: u64) -> Result<Duration, String> {
    match env::var(variable) {
        Ok(text) => humantime::parse_duration(&text)
            .map_err(|error| format!("{variable}: {error}; write `2s` or `500ms`")),
        Err(_) => Ok(Duration::from_secs(seconds)),
    }
}

fn on_crash() -> Result<OnCrash, String> {
    match env::var("IDEM_ON_CRASH").as_deref() {
        Ok("takeover") | Err(env::VarError::NotPresent) => Ok(OnCrash::TakeOver),
        Ok("refuse") => Ok(OnCrash::Refuse),
        other => Err(format!(
            "IDEM_ON_CRASH is {other:?}; say `takeover` or `refuse`"
        )),
    }
}
