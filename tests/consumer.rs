//! The consumer of a queue that delivers at least once, over a real Redis: messages that come twice,
//! consumers that die in the middle of one, messages that nobody can work on.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::HashMap, path::PathBuf, process::Stdio};

use common::{PATIENCE, example};
use idem_servers::{Redis, until};
use redis::streams::{StreamInfoGroupsReply, StreamInfoStreamReply, StreamRangeReply};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// The queue, and the mails that were sent.
struct Post {
    redis: Redis,
    directory: TempDir,
}

impl Post {
    async fn start() -> Self {
        Self {
            redis: Redis::start().await,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn mails(&self) -> PathBuf {
        self.directory.path().join("mails")
    }

    fn program(&self) -> Command {
        let mut command = Command::new(example("consumer"));
        command
            .env("REDIS_URL", self.redis.url())
            .env("IDEM_EFFECTS", self.mails())
            .env("CLAIM_AFTER", "100ms")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn consumer(&self, environment: &[(&str, &str)]) -> Consumer {
        let mut command = self.program();
        command.arg("consume").envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut consumer = Consumer { child, stdout };
        consumer.until_it_says("consuming invoices").await;
        consumer
    }

    async fn send(&self, event: &str, payload: &str) {
        self.send_fields(&["event", event, "payload", payload])
            .await;
    }

    async fn send_fields(&self, fields: &[&str]) {
        let words = [&["XADD", "invoices", "*"], fields].concat();
        self.redis.command(&words).await;
    }

    /// Messages that somebody has and nobody has acknowledged; and the last one that anybody has had.
    async fn group(&self) -> (usize, String) {
        let groups: StreamInfoGroupsReply = self
            .redis
            .query(&["XINFO", "GROUPS", "invoices"])
            .await
            .unwrap();
        let group = &groups.groups[0];
        (group.pending, group.last_delivered_id.clone())
    }

    async fn last(&self) -> String {
        let stream: StreamInfoStreamReply = self
            .redis
            .query(&["XINFO", "STREAM", "invoices"])
            .await
            .unwrap();
        stream.last_generated_id
    }

    /// Until every message has been delivered and acknowledged.
    async fn until_settled(&self) {
        until("the queue is settled", async || {
            self.group().await == (0, self.last().await)
        })
        .await;
    }

    /// How many mails were sent for each event.
    fn sent(&self) -> HashMap<String, usize> {
        let mut sent = HashMap::new();
        let text = std::fs::read_to_string(self.mails()).unwrap_or_default();
        for line in text.lines() {
            let event = line.split(' ').nth(1).unwrap();
            *sent.entry(event.to_owned()).or_default() += 1;
        }
        sent
    }

    /// The fields of each dead letter.
    async fn dead_letters(&self) -> Vec<HashMap<String, String>> {
        let range = ["XRANGE", "invoices:dead", "-", "+"];
        let letters: StreamRangeReply = self.redis.query(&range).await.unwrap();
        let fields = |letter: &redis::streams::StreamId| {
            let names = letter.map.keys().cloned();
            names
                .map(|name| (name.clone(), letter.get(&name).unwrap()))
                .collect()
        };
        letters.ids.iter().map(fields).collect()
    }
}

/// A consumer's process. It is killed when this is dropped.
struct Consumer {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Consumer {
    async fn until_it_says(&mut self, what: &str) {
        let lines = async {
            loop {
                let line = self.stdout.next_line().await.unwrap();
                if line.unwrap().contains(what) {
                    break;
                }
            }
        };
        let said = tokio::time::timeout(PATIENCE, lines).await;
        assert!(said.is_ok(), "it did not say {what:?}");
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await;
        assert!(sent.unwrap().success());
    }

    /// `kill -9`: when it returns, the process is gone.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// What it says until it ends, by itself and well.
    async fn rest(mut self) -> Vec<String> {
        let mut said = Vec::new();
        let rest = async {
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                said.push(line);
            }
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(PATIENCE, rest).await.unwrap();
        assert!(status.success(), "{status}");
        said
    }
}

const INVOICE: &str = r#"{"to":"ana@example.com","amount":1250}"#;

fn once_each<'a>(events: impl IntoIterator<Item = &'a str>) -> HashMap<String, usize> {
    events
        .into_iter()
        .map(|event| (event.to_owned(), 1))
        .collect()
}

#[tokio::test]
async fn every_event_that_is_sent_three_times_has_one_effect_with_three_consumers() {
    let post = Post::start().await;
    let events: Vec<_> = (0..40).map(|number| format!("e{number}")).collect();
    // Side by side, so that different consumers get them at the same time; and once more at the end.
    for event in &events {
        post.send(event, INVOICE).await;
        post.send(event, INVOICE).await;
    }
    for event in &events {
        // The order of fields is no other payload.
        post.send(event, r#"{ "amount": 1250, "to": "ana@example.com" }"#)
            .await;
    }
    let mut consumers = Vec::new();
    for name in ["one", "two", "three"] {
        consumers.push(post.consumer(&[("CONSUMER", name)]).await);
    }
    post.until_settled().await;
    assert_eq!(post.sent(), once_each(events.iter().map(String::as_str)));
    assert!(post.dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_is_produced_and_produced_again_is_sent_once() {
    let post = Post::start().await;
    for _ in 0..2 {
        let produced = post
            .program()
            .args(["produce", "5"])
            .output()
            .await
            .unwrap();
        assert!(produced.status.success());
    }
    let length: usize = post.redis.query(&["XLEN", "invoices"]).await.unwrap();
    assert_eq!(length, 20);
    let _consumer = post.consumer(&[]).await;
    post.until_settled().await;
    let events: Vec<_> = (1..=5).map(|number| format!("invoice-{number}")).collect();
    assert_eq!(post.sent(), once_each(events.iter().map(String::as_str)));
}

/// One consumer is killed at the point with one of three messages in its hands; another one finds what
/// it left. The answer is how often the mail of that message was sent.
async fn killed_at(point: &str, environment: &[(&str, &str)]) -> (Post, usize) {
    let post = Post::start().await;
    for event in ["a", "b", "c"] {
        post.send(event, INVOICE).await;
    }
    let environment = [environment, &[("IDEM_LEASE", "1s")]].concat();
    let stops = [&environment[..], &[("CONSUMER_STOPS", point)]].concat();
    let mut dies = post.consumer(&stops).await;
    dies.until_it_says(&format!("stopped at {point}")).await;
    dies.kill().await;
    assert_eq!(post.group().await.0, 1, "it had one, and acknowledged none");

    let others = [&environment[..], &[("CONSUMER", "two")]].concat();
    let other = post.consumer(&others).await;
    post.until_settled().await;
    other.kill().await;
    let mut sent = post.sent();
    let mails = sent.remove("a").unwrap();
    assert_eq!(sent, once_each(["b", "c"]));
    (post, mails)
}

#[tokio::test]
async fn a_message_whose_consumer_died_before_the_effect_has_one_effect() {
    let (post, mails) = killed_at("started", &[]).await;
    assert_eq!(mails, 1);
    assert!(post.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_message_whose_consumer_died_between_record_and_acknowledgement_has_one_effect() {
    let (post, mails) = killed_at("recorded", &[]).await;
    assert_eq!(mails, 1);
    assert!(post.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_message_whose_consumer_died_between_effect_and_record_has_its_effect_again() {
    let (post, mails) = killed_at("sent", &[]).await;
    assert_eq!(mails, 2);
    assert!(post.dead_letters().await.is_empty());
}

#[tokio::test]
async fn under_refuse_it_has_its_effect_once_and_becomes_a_dead_letter() {
    let (post, mails) = killed_at("sent", &[("IDEM_ON_CRASH", "refuse")]).await;
    assert_eq!(mails, 1);
    let letters = post.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["event"], "a");
    assert!(letters[0]["reason"].contains("an operator has to resolve it"));
}

#[tokio::test]
async fn a_message_that_nobody_can_work_on_is_a_dead_letter_and_blocks_nothing() {
    let post = Post::start().await;
    post.send("first", INVOICE).await;
    let other = r#"{"to":"eve@example.com","amount":9999}"#;
    post.send("first", other).await;
    post.send("broken", "{").await;
    post.send("incomplete", r#"{"to":"ana@example.com"}"#).await;
    post.send("", INVOICE).await;
    post.send_fields(&["payload", INVOICE]).await;
    post.send_fields(&["event", "empty"]).await;
    post.send("last", INVOICE).await;
    let _consumer = post.consumer(&[]).await;
    post.until_settled().await;
    assert_eq!(post.sent(), once_each(["first", "last"]));

    let letters = post.dead_letters().await;
    let reasons = [
        "the idempotency key was used for another payload",
        "the payload cannot be read: EOF",
        "the payload cannot be read: missing field `amount`",
        "the idempotency key is empty",
        "the field `event` is missing",
        "the field `payload` is missing",
    ];
    assert_eq!(letters.len(), reasons.len());
    for (letter, reason) in letters.iter().zip(reasons) {
        assert!(letter["reason"].starts_with(reason), "{letter:?}");
    }
    // It is all there, for whoever looks at it.
    assert_eq!(
        (letters[0]["event"].as_str(), letters[0]["payload"].as_str()),
        ("first", other)
    );
    let original = &letters[0]["message"];
    let range = ["XRANGE", "invoices", original, original];
    let message: StreamRangeReply = post.redis.query(&range).await.unwrap();
    assert_eq!(message.ids[0].get::<String>("payload").unwrap(), other);
}

#[tokio::test]
async fn work_that_fails_is_not_acknowledged_and_comes_again() {
    let post = Post::start().await;
    let office = post.directory.path().join("office");
    let mails = office.join("mails");
    let mut consumer = post
        .consumer(&[("IDEM_EFFECTS", mails.to_str().unwrap())])
        .await;
    post.send("a", INVOICE).await;
    consumer.until_it_says("later, No such file").await;
    consumer.until_it_says("later, No such file").await;
    assert_eq!(post.group().await.0, 1);
    std::fs::create_dir(office).unwrap();
    post.until_settled().await;
    assert_eq!(std::fs::read_to_string(mails).unwrap().lines().count(), 1);
    assert!(post.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_message_taken_from_a_consumer_that_is_only_slow_has_one_effect() {
    let post = Post::start().await;
    post.send("a", INVOICE).await;
    let mut slow = post.consumer(&[("CONSUMER_STOPS", "started")]).await;
    slow.until_it_says("stopped at started").await;
    let mut hasty = post.consumer(&[("CONSUMER", "two")]).await;
    hasty
        .until_it_says("a: later, the same work is in progress")
        .await;
    slow.signal("USR1").await;
    slow.until_it_says("a: done").await;
    post.until_settled().await;
    assert_eq!(post.sent(), once_each(["a"]));
}

#[tokio::test]
async fn a_consumer_that_is_told_to_stop_finishes_its_message_and_takes_no_other() {
    for name in ["TERM", "INT"] {
        let post = Post::start().await;
        post.send("a", INVOICE).await;
        let first = post.last().await;
        post.send("b", INVOICE).await;
        let mut consumer = post.consumer(&[("CONSUMER_STOPS", "started")]).await;
        consumer.until_it_says("stopped at started").await;
        consumer.signal(name).await;
        consumer.until_it_says("stopping").await;
        consumer.signal("USR1").await;
        let said = consumer.rest().await;
        assert!(said[0].ends_with("a: done"), "{said:?}");
        assert_eq!(said[1..], ["draining", "drained"]);
        assert_eq!(post.group().await, (0, first));
        assert_eq!(post.sent(), once_each(["a"]));
    }
}

#[tokio::test]
async fn a_message_waits_while_the_store_is_gone() {
    let post = Post::start().await;
    let store = Redis::start().await;
    let mut consumer = post.consumer(&[("IDEM_STORE", &store.url())]).await;
    store.kill();
    post.send("a", INVOICE).await;
    post.send("b", INVOICE).await;
    consumer.until_it_says("a: waits, ").await;
    assert!(post.sent().is_empty());
    store.restart().await;
    post.until_settled().await;
    assert_eq!(post.sent(), once_each(["a", "b"]));
    assert!(post.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_consumer_that_is_told_to_stop_waits_until_its_records_are_stored() {
    let post = Post::start().await;
    let store = Redis::start().await;
    let url = store.url();
    post.send("a", INVOICE).await;
    let stops = [("IDEM_STORE", url.as_str()), ("CONSUMER_STOPS", "sent")];
    let mut consumer = post.consumer(&stops).await;
    consumer.until_it_says("stopped at sent").await;
    store.stop();
    consumer.signal("USR1").await;
    // The mail is sent, and its record still on its way: the message is not done with.
    consumer
        .until_it_says("a: later, the record is not stored yet")
        .await;
    consumer.signal("TERM").await;
    consumer.until_it_says("draining").await;
    store.resume();
    assert_eq!(consumer.rest().await, ["drained"]);

    post.send("a", INVOICE).await;
    let mut next = post.consumer(&[("IDEM_STORE", &url)]).await;
    next.until_it_says("a: was done before").await;
    post.until_settled().await;
    assert_eq!(post.sent(), once_each(["a"]));
}
