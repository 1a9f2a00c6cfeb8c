//! Writes that are not done until replicas have them.
//!
//! `WAIT` speaks of the connection that it comes over, and holds up everything
//! behind it. So a connection's writes go out in batches, each with one `WAIT`
//! behind it: what arrives while one batch is waiting is the next one.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value, aio::MultiplexedConnection};
use tokio::sync::{mpsc, oneshot};

const LARGEST_BATCH: usize = 512;
const LARGEST_BATCH_BYTES: usize = 1 << 20;

/// How many replicas must have a write, and how long they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) timeout: Duration,
    /// How long the server may take for a batch, replicas included.
    pub(crate) give_up: Duration,
}

/// How many replicas have a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) wanted: u32,
    pub(crate) reached: u32,
}

impl Acknowledged {
    /// What a link says that waits for none.
    pub(crate) const fn enough() -> Self {
        Self {
            wanted: 0,
            reached: 0,
        }
    }

    pub(crate) const fn is_enough(self) -> bool {
        self.reached >= self.wanted
    }
}

/// The writes of one connection. Its task ends when it is dropped, or with the connection.
#[derive(Debug)]
pub(crate) struct Writer(mpsc::Sender<Write>);

struct Write {
    command: Cmd,
    asking: bool,
    done: oneshot::Sender<Result<(Value, Acknowledged), RedisError>>,
}

impl Writer {
    pub(crate) fn new(connection: MultiplexedConnection, replicas: Replicas) -> Self {
        let (sender, receiver) = mpsc::channel(LARGEST_BATCH);
        tokio::spawn(serve(connection, receiver, replicas));
        Self(sender)
    }

    pub(crate) async fn write(
        &self,
        command: Cmd,
        asking: bool,
    ) -> Result<(Value, Acknowledged), RedisError> {
        let (done, ended) = oneshot::channel();
        let write = Write {
            command,
            asking,
            done,
        };
        if self.0.send(write).await.is_err() {
            return Err(closed());
        }
        ended.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn closed() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
}

/// Everything that is in line, up to a size; `None` when nobody can send any more.
async fn next_batch(writes: &mut mpsc::Receiver<Write>) -> Option<Vec<Write>> {
    let size = |write: &Write| write.command.args_iter().len() + bytes(&write.command);
    let first = writes.recv().await?;
    let mut total = size(&first);
    let mut batch = vec![first];
    while batch.len() < LARGEST_BATCH && total < LARGEST_BATCH_BYTES {
        let Ok(write) = writes.try_recv() else {
            break;
        };
        total += size(&write);
        batch.push(write);
    }
    Some(batch)
}

fn bytes(command: &Cmd) -> usize {
    let simple = command.args_iter().map(|argument| match argument {
        redis::Arg::Simple(bytes) => bytes.len(),
        _ => 0,
    });
    simple.sum()
}

async fn serve(
    mut connection: MultiplexedConnection,
    mut writes: mpsc::Receiver<Write>,
    replicas: Replicas,
) {
    while let Some(batch) = next_batch(&mut writes).await {
        let mut pipeline = Pipeline::with_capacity(batch.len() + 1);
        for write in &batch {
            if write.asking {
                pipeline.cmd("ASKING");
            }
            pipeline.add_command(write.command.clone());
        }
        let timeout = u64::try_from(replicas.timeout.as_millis()).unwrap_or(u64::MAX);
        // 0 would be for ever.
        pipeline.cmd("WAIT").arg(replicas.count).arg(timeout.max(1));
        let sent = connection.send_packed_commands(&pipeline, 0, pipeline.len());
        let replies = match tokio::time::timeout(replicas.give_up, sent).await {
            Ok(replies) => replies,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        match replies {
            Ok(replies) => hand_out(batch, replies, replicas.count),
            Err(error) => {
                // What is in line behind this batch was not sent, but nobody
                // needs to know: it is asked for again under the same owner.
                for write in batch {
                    let _ = write.done.send(Err(error.clone()));
                }
                return;
            }
        }
    }
}

fn hand_out(batch: Vec<Write>, mut replies: Vec<Value>, wanted: u32) {
    let reached = replies
        .pop()
        .and_then(|waited| u32::from_redis_value(waited).ok());
    let acknowledged = Acknowledged {
        wanted,
        // A WAIT that failed has seen nobody.
        reached: reached.unwrap_or(0),
    };
    let mut replies = replies.into_iter();
    for write in batch {
        if write.asking {
            replies.next();
        }
        let reply = replies.next().ok_or_else(closed);
        // Who has given up is not told.
        let _ = write.done.send(reply.map(|reply| (reply, acknowledged)));
    }
}
