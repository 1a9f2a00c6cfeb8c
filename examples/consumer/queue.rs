//! The queue: a Redis Stream, a consumer group, and a stream of dead letters.

use std::{collections::HashMap, time::Duration};

use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, FromRedisValue, RedisResult, Value,
    aio::MultiplexedConnection,
    streams::{StreamAutoClaimOptions, StreamAutoClaimReply, StreamId, StreamReadOptions},
};
use serde::de::DeserializeOwned;

pub(crate) const INVOICES: &str = "invoices";
/// Dead letters have the fields of the message, and `reason` and `message` (its id).
pub(crate) const DEAD: &str = "invoices:dead";
const GROUP: &str = "mailer";

/// How long a read waits for a message, and so a consumer without work to be stopped.
const BLOCK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

/// One consumer's view of the queue. It asks nothing while it waits for a message, so one connection
/// is enough.
pub(crate) struct Queue {
    connection: MultiplexedConnection,
    consumer: String,
    claim_after: Duration,
    /// Where the search for messages that lie with somebody goes on.
    cursor: String,
}

impl Queue {
    pub(crate) async fn open(
        url: &str,
        consumer: String,
        claim_after: Duration,
    ) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(BLOCK + PATIENCE));
        let client = Client::open(url)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        // From the first message on, also those sent before there was a consumer.
        let created: RedisResult<()> = connection
            .xgroup_create_mkstream(INVOICES, GROUP, "0")
            .await;
        match created {
            Err(error) if error.code() != Some("BUSYGROUP") => return Err(error),
            _ => {}
        }
        Ok(Self {
            connection,
            consumer,
            claim_after,
            cursor: "0-0".to_owned(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.consumer
    }

    pub(crate) async fn send(&mut self, event: &str, payload: &str) -> RedisResult<()> {
        let fields = [("event", event), ("payload", payload)];
        self.connection.xadd(INVOICES, "*", &fields).await
    }

    /// A message that has lain with a consumer for too long (it died, or it left it for later), or else
    /// a new one. One at a time: what is read and not yet worked on would lie here, too.
    pub(crate) async fn next(&mut self) -> RedisResult<Option<Message>> {
        match self.left_behind().await? {
            Some(message) => Ok(Some(message)),
            None => self.new_one().await,
        }
    }

    async fn left_behind(&mut self) -> RedisResult<Option<Message>> {
        let idle = self.claim_after.as_millis().to_string();
        let one = StreamAutoClaimOptions::default().count(1);
        let (consumer, cursor) = (self.consumer.as_str(), self.cursor.as_str());
        let claim = self
            .connection
            .xautoclaim_options(INVOICES, GROUP, consumer, idle, cursor, one);
        let reply: StreamAutoClaimReply = claim.await?;
        self.cursor = reply.next_stream_id;
        Ok(reply.claimed.into_iter().next().map(Message::from))
    }

    async fn new_one(&mut self) -> RedisResult<Option<Message>> {
        let options = StreamReadOptions::default()
            .group(GROUP, &self.consumer)
            .count(1)
            .block(BLOCK.as_millis() as usize);
        let read = self.connection.xread_options(&[INVOICES], &[">"], &options);
        let reply: Option<redis::streams::StreamReadReply> = read.await?;
        let streams = reply.into_iter().flat_map(|reply| reply.keys);
        Ok(streams
            .flat_map(|stream| stream.ids)
            .next()
            .map(Message::from))
    }

    /// It does not come again.
    pub(crate) async fn acknowledge(&mut self, message: &Message) -> RedisResult<()> {
        self.connection.xack(INVOICES, GROUP, &[&message.id]).await
    }

    /// It becomes a dead letter, and does not come again: both or neither.
    pub(crate) async fn bury(&mut self, message: &Message, reason: &str) -> RedisResult<()> {
        let mut letter = redis::cmd("XADD");
        letter.arg(DEAD).arg("*");
        for (field, value) in &message.fields {
            letter
                .arg(field)
                .arg(Vec::<u8>::from_redis_value(value.clone())?);
        }
        letter
            .arg("message")
            .arg(&message.id)
            .arg("reason")
            .arg(reason);
        let mut both = redis::pipe();
        both.atomic().add_command(letter).ignore();
        both.xack(INVOICES, GROUP, &[&message.id]).ignore();
        both.query_async(&mut self.connection).await
    }
}

/// A message as it came.
pub(crate) struct Message {
    pub(crate) id: String,
    fields: HashMap<String, Value>,
}

impl From<StreamId> for Message {
    fn from(entry: StreamId) -> Self {
        Self {
            id: entry.id,
            fields: entry.map,
        }
    }
}

/// A message that nobody can work on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the field `{0}` is missing or no text")]
    Field(&'static str),
    #[error("the payload cannot be read: {0}")]
    Payload(#[from] serde_json::Error),
}

impl Message {
    /// The producer's id of the event.
    pub(crate) fn event(&self) -> Option<&str> {
        self.text("event")
    }

    /// The event's id, and its payload.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<(&str, T), Unreadable> {
        let event = self.event().ok_or(Unreadable::Field("event"))?;
        let payload = self.text("payload").ok_or(Unreadable::Field("payload"))?;
        Ok((event, serde_json::from_str(payload)?))
    }

    fn text(&self, field: &str) -> Option<&str> {
        match self.fields.get(field)? {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}
