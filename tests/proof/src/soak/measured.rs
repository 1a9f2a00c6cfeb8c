//! What a process and its store take.

use std::{fs, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Stage,
    trend::{Trend, trend},
};
use crate::nemesis::fleet::Node;

const MIB: f64 = 1024.0 * 1024.0;

/// One measurement.
#[derive(Debug)]
pub(super) struct Sample {
    what: &'static str,
    /// Changes up to this mean nothing.
    floor: f64,
    value: f64,
}

/// The same measurement, again and again.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) what: &'static str,
    floor: f64,
    /// Seconds and values.
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    pub(super) fn trend(&self) -> Trend {
        trend(&self.points, self.floor)
    }
}

impl Sample {
    pub(super) fn add_to(self, all: &mut Vec<Series>, at: Duration) {
        let point = (at.as_secs_f64(), self.value);
        match all.iter_mut().find(|series| series.what == self.what) {
            Some(series) => series.points.push(point),
            None => all.push(Series {
                what: self.what,
                floor: self.floor,
                points: vec![point],
            }),
        }
    }
}

/// Everything that should not grow. What cannot be measured just now is left out.
pub(super) async fn all(node: &Node, stage: &Stage) -> Vec<Sample> {
    let process = [
        ("resident memory, bytes", 4.0 * MIB, resident(node.pid())),
        ("file descriptors", 8.0, descriptors(node.pid())),
        ("tasks", 16.0, tasks(node).await),
    ];
    let store = match stage {
        Stage::Memory => Vec::new(),
        Stage::Redis(server) => {
            let memory = server.info("memory").await;
            let used = memory.get("used_memory").and_then(|it| it.parse().ok());
            let keys = server.query::<u32>(&["DBSIZE"]).await.ok();
            vec![
                ("used_memory, bytes", MIB, used),
                ("keys", 200.0, keys.map(f64::from)),
            ]
        }
        Stage::Sqlite(directory) => {
            let files = fs::read_dir(directory.path()).into_iter().flatten();
            let sizes = files.filter_map(|file| file.ok()?.metadata().ok());
            let bytes: u64 = sizes.map(|file| file.len()).sum();
            vec![("file, bytes", MIB, bytes.to_string().parse().ok())]
        }
        Stage::Postgres(server) => {
            let size = "SELECT sum(pg_total_relation_size(relid))::text FROM pg_stat_user_tables";
            let size = server.text(size).await;
            vec![(
                "relations, bytes",
                MIB,
                size.and_then(|size| size.parse().ok()),
            )]
        }
    };
    let all = process.into_iter().chain(store);
    all.filter_map(|(what, floor, value)| {
        let value = value?;
        Some(Sample { what, floor, value })
    })
    .collect()
}

fn resident(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0)
}

fn descriptors(pid: u32) -> Option<f64> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    u32::try_from(open).ok().map(f64::from)
}

/// What the process says of its runtime.
async fn tasks(node: &Node) -> Option<f64> {
    let mut socket = TcpStream::connect(&node.address).await.ok()?;
    let request = "GET /diagnostics HTTP/1.0\r\nhost: lab\r\n\r\n";
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).ok()?;
    body["tasks"].as_f64()
}
