//! What the system knows about processes.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, or waits for something.
    Running,
    /// It was sent a `SIGSTOP`.
    Stopped,
    /// It is gone.
    Ended,
}

/// What the process with this id is doing. A zombie has ended.
pub(super) fn state_of(pid: u32) -> State {
    let letter = if has_proc() {
        stat(pid).and_then(|stat| stat.chars().next())
    } else {
        let pid = pid.to_string();
        ps(&["-o", "stat=", "-p", &pid]).trim().chars().next()
    };
    match letter {
        None | Some('Z' | 'X') => State::Ended,
        Some('T') => State::Stopped,
        Some(_) => State::Running,
    }
}

/// The processes whose parent this one is.
pub(super) fn children_of(pid: u32) -> Vec<u32> {
    if has_proc() {
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let parent = |child: u32| stat(child)?.split(' ').nth(1)?.parse::<u32>().ok();
        return pids.filter(|child| parent(*child) == Some(pid)).collect();
    }
    let pairs = ps(&["-A", "-o", "pid=,ppid="]);
    let pairs = pairs.lines().filter_map(|line| {
        let (child, parent) = line.trim().split_once(char::is_whitespace)?;
        Some((child.parse().ok()?, parent.trim().parse::<u32>().ok()?))
    });
    pairs
        .filter(|(_, parent)| *parent == pid)
        .map(|(child, _)| child)
        .collect()
}

/// Sends a signal to all of them. Whether all were still there.
pub(super) fn send(name: &str, pids: &[u32]) -> bool {
    if pids.is_empty() {
        return true;
    }
    // The shell's own `kill`: a program of that name is not everywhere.
    let status = Command::new("sh")
        .args([
            "-c",
            r#"s=$1; shift; kill -s "$s" "$@" 2>/dev/null"#,
            "sh",
            name,
        ])
        .args(pids.iter().map(u32::to_string))
        .status()
        .expect("sh starts");
    status.success()
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// What follows the name in `123 (name) S 1 ...`. The name may hold anything.
fn stat(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.to_owned())
}

fn ps(args: &[&str]) -> String {
    let ps = Command::new("ps").args(args).output().expect("ps starts");
    String::from_utf8_lossy(&ps.stdout).into_owned()
}
