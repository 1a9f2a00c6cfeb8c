//! What processes take of the machine, by `/proc` (nothing is known elsewhere); and one that takes
//! nine tenths of it.

use std::{
    env, fs, io,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Has this program be busy, and nothing else.
pub(crate) const BUSY: &str = "--busy";
/// Linux counts a process's time in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

struct Stat {
    parent: u32,
    seconds: f64,
}

fn stat(pid: &str) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        seconds: (ticks(11)? + ticks(12)?) / TICKS_A_SECOND,
    })
}

/// Seconds of a core that this process has had.
pub(crate) fn own_seconds() -> Option<f64> {
    Some(stat("self")?.seconds)
}

/// Seconds of a core that a process and its children have had.
pub(crate) fn seconds_of(pid: u32) -> Option<f64> {
    let mut sum = stat(&pid.to_string())?.seconds;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let child = entry.file_name().to_str().and_then(stat);
        sum += child
            .filter(|child| child.parent == pid)
            .map_or(0.0, |child| child.seconds);
    }
    Some(sum)
}

/// What all cores have done since the machine started: worked, and waited for work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    worked: f64,
    waited: f64,
}

impl Cores {
    pub(crate) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let ticks = stat.lines().next()?.split_whitespace().skip(1);
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
        let ticks: Vec<f64> = ticks.take(8).map_while(|tick| tick.parse().ok()).collect();
        let waited = ticks.get(3)? + ticks.get(4)?;
        let worked = ticks.iter().sum::<f64>() - waited;
        Some(Self { worked, waited })
    }

    /// Which part of the time since then was worked.
    pub(crate) fn busy_since(self, before: Self) -> f64 {
        let worked = self.worked - before.worked;
        worked / (worked + self.waited - before.waited)
    }
}

/// The bytes of memory that this process has.
pub(crate) fn memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// Another process that keeps each core busy for 90 of 100 ms, until it is dropped.
pub(crate) struct Load {
    child: Child,
    started: Instant,
}

impl Load {
    pub(crate) async fn start() -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .arg(BUSY)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let started = Instant::now();
        Self { child, started }
    }

    /// Ends it, and says what it had.
    pub(crate) fn stop(self) -> String {
        let (seconds, took) = (seconds_of(self.child.id()), self.started.elapsed());
        let cores = seconds.unwrap_or(f64::NAN) / took.as_secs_f64();
        format!("the load had {cores:.2} cores")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It ends with its input, also if this process ends in another way.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

pub(crate) fn be_busy() {
    for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
        thread::spawn(|| {
            loop {
                let started = Instant::now();
                while started.elapsed() < Duration::from_millis(90) {
                    std::hint::spin_loop();
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
    }
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
