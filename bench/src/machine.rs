//! Where and when it was measured.

use std::{
    fs,
    hint::black_box,
    thread,
    time::{Duration, Instant, SystemTime},
};

use sha2::{Digest, Sha256};

const HASHED: usize = 1 << 20;
const HASHED_FOR: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// UTC, to the minute.
    pub(crate) date: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) rust: &'static str,
    /// Built without optimization: its numbers mean nothing.
    pub(crate) is_debug: bool,
    /// Of the servers that took part: "Redis 7.0.15".
    pub(crate) servers: Vec<String>,
}

impl Machine {
    pub(crate) fn look(servers: Vec<String>) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            date: date(SystemTime::now()),
            cpu: cpu(&info).unwrap_or_else(|| "an unknown processor".to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            rust: env!("BUILT_BY_RUST"),
            is_debug: cfg!(debug_assertions),
            servers,
        }
    }

    /// "2 cores of Intel(R) Xeon(R) Processor, Rust 1.95.0, Redis 7.0.15"
    pub(crate) fn line(&self) -> String {
        let cores = match self.cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
        let mut line = format!("{cores} of {}, Rust {}", self.cpu, self.rust);
        for server in &self.servers {
            line.push_str(", ");
            line.push_str(server);
        }
        if self.is_debug {
            line.push_str(", a debug build: its numbers mean nothing");
        }
        line
    }
}

fn date(now: SystemTime) -> String {
    let date = humantime::format_rfc3339_seconds(now).to_string();
    // "2026-11-26T21:05:09Z"
    match (date.get(..10), date.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => date,
    }
}

/// The first processor's name in `/proc/cpuinfo`.
fn cpu(info: &str) -> Option<String> {
    let (_, name) = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| field.trim() == "model name")?;
    Some(name.trim().to_owned())
}

/// Bytes a second that one core hashes by SHA-256.
pub(crate) fn sha256_per_second() -> f64 {
    let bytes = vec![7_u8; HASHED];
    let started = Instant::now();
    let mut hashed = 0_usize;
    while started.elapsed() < HASHED_FOR {
        black_box(Sha256::digest(black_box(&bytes)));
        hashed += bytes.len();
    }
    hashed as f64 / started.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_a_name() {
        let info =
            "processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nprocessor\t: 1\nmodel name\t: B\n";
        assert_eq!(cpu(info).as_deref(), Some("Some CPU: 3 GHz"));
        assert_eq!(cpu(""), None);
    }

    #[test]
    fn a_date_is_of_utc_to_the_minute() {
        let second = Duration::from_secs(1_795_727_109);
        assert_eq!(
            date(SystemTime::UNIX_EPOCH + second),
            "2026-11-26 21:05 UTC"
        );
    }
}
