//! The program itself, with the smallest effort: who takes part, what it writes, and what it leaves behind.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const TITLES: [&str; 9] = [
    "bare handler",
    "idem, memory",
    "idem, SQLite",
    "idem, Redis",
    "by hand, Redis",
    "axum-idempotent, ",
    "idem, PostgreSQL",
    "bare transaction, PostgreSQL",
    "idem `Tx`, PostgreSQL",
];

/// A run with a directory for its temporary files, and one for what it writes.
struct Run {
    temporary: TempDir,
    out: TempDir,
}

impl Run {
    fn new() -> Self {
        Self {
            temporary: TempDir::new().unwrap(),
            out: TempDir::new().unwrap(),
        }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idem-bench"));
        command
            .args(["--rounds", "1", "--seconds-per-round", "0.02"])
            .args(["--connections", "1,3", "--records", "40", "--groups", "2"])
            .arg("--out")
            .arg(self.out.path())
            .args(more)
            .env("TMPDIR", self.temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn written(&self, name: &str) -> String {
        fs::read_to_string(self.out.path().join(name)).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn every_contestant_is_in_the_tables_and_the_plot() {
    let run = Run::new();
    let output = run.command(&[]).output().unwrap();
    succeeded(&output);
    let page = run.written("load.md");
    assert_eq!(text(&output.stdout).trim(), page.trim());
    let tables: Vec<&str> = page.split("\n## ").skip(1).collect();
    for heading in ["1 connection\n", "3 connections\n", "What it takes"] {
        let table = tables.iter().find(|table| table.starts_with(heading));
        for title in TITLES {
            let row = format!("\n| {title}");
            assert!(
                table.is_some_and(|table| table.contains(&row)),
                "{heading}, {title}:\n{page}"
            );
        }
    }
    let svg = run.written("load.svg");
    let elements = well_formed(&svg);
    assert!(elements > 100, "{elements}");
    for title in TITLES {
        let title = title.replace('`', "");
        assert!(svg.contains(title.trim()), "{title}\n{svg}");
    }
    let left: Vec<PathBuf> = entries(run.temporary.path());
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn idem_keeps_its_promises_under_this_load() {
    let run = Run::new();
    let idem = ["--only", "memory,sqlite,redis,postgres,tx"];
    succeeded(&run.command(&idem).output().unwrap());
    let page = run.written("load.md");
    let (_, takes) = page.split_once("## What it takes").unwrap();
    let rows: Vec<&str> = takes
        .lines()
        .filter(|line| line.contains("| idem"))
        .collect();
    assert_eq!(rows.len(), 5, "{takes}");
    for row in rows {
        assert!(row.contains("| 409 to all 40 |"), "{row}");
        assert!(row.contains("| executed once"), "{row}");
    }
}

#[test]
fn a_missing_server_is_told_before_anything_is_measured() {
    let run = Run::new();
    let output = run
        .command(&["--only", "redis"])
        // Where no server is.
        .env("PATH", run.temporary.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let expected = "error: Redis could not be started: redis-server is not installed";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(entries(run.out.path()), Vec::<PathBuf>::new());
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// Reads the elements of an SVG, and says how many there are: each is closed by its own end, attributes
/// are quoted, and what stands for something else is a known name.
fn well_formed(svg: &str) -> usize {
    let mut open = Vec::new();
    let mut elements = 0;
    let mut rest = svg.trim();
    while let Some(start) = rest.find('<') {
        no_loose_ends(&rest[..start]);
        let end = rest[start..].find('>').unwrap() + start;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        elements += 1;
        let name = tag.split_whitespace().next().unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        no_loose_ends(tag);
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    assert_eq!(rest, "");
    elements
}

fn no_loose_ends(text: &str) {
    for (place, _) in text.match_indices('&') {
        let known = ["&lt;", "&gt;", "&amp;", "&quot;", "&apos;"];
        let here = &text[place..];
        assert!(known.iter().any(|name| here.starts_with(name)), "{here}");
    }
}
