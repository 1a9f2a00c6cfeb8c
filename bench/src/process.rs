//! What a process takes of the machine, by `/proc`; where there is none, nothing is known.

use std::fs;

/// What a process and the children that it has waited for have had, and whose child it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

/// Reads `/proc/PID/stat`.
fn parse(stat: &str) -> Option<Stat> {
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        // utime, stime, cutime, cstime
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
    })
}

/// Reads the resident memory of `/proc/PID/status`, in bytes.
fn parse_resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn read(pid: &str) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Seconds of a core that a process and all its children have had, also those that have ended.
pub(crate) fn seconds(pid: u32) -> Option<f64> {
    let own = read(&pid.to_string())?.ticks;
    let children: u64 = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| read(entry.file_name().to_str()?))
        .filter(|stat| stat.parent == pid)
        .map(|stat| stat.ticks)
        .sum();
    Some((own + children) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The bytes of memory that a process has.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    parse_resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_behind_any_name() {
        let stat = "4711 (a ) b (c) R 17 4711 1 0 -1 4194304 100 0 0 0 250 50 7 3 20 0 1 0 99 1 2";
        assert_eq!(
            parse(stat),
            Some(Stat {
                parent: 17,
                ticks: 310
            })
        );
        assert_eq!(parse("4711 (short) R 17"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn resident_memory_is_in_kilobytes() {
        let status = "Name:\tserver\nVmPeak:\t  9000 kB\nVmRSS:\t    12 kB\nThreads:\t3\n";
        assert_eq!(parse_resident(status), Some(12 * 1024));
        assert_eq!(parse_resident("Name:\tkthreadd\n"), None);
    }
}
